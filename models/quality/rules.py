from customer_loyalty.rules import export


def model(dbt, session):
    return export(session)
