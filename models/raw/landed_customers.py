from customer_loyalty.dbt_models import land


def model(dbt, session):
    return land(session, dbt.config.get("raw_data"), "raw_customers")
