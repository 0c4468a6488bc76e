from customer_loyalty.engine import engine_of


def model(dbt, session):
    return engine_of(session).land(dbt.config.get("raw_data"), "raw_surveys")
