from customer_loyalty.dbt_models import land


def model(dbt, session):
    raw_data, raw_schema = dbt.config.get("raw_data"), dbt.config.get("raw_schema")
    return land(session, raw_data, raw_schema, "raw_surveys")
