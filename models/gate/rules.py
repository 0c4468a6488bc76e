from customer_loyalty.dbt_models import export_rules


def model(dbt, session):
    return export_rules(session)
