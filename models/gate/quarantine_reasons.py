from customer_loyalty.dbt_models import find_broken_rows


def model(dbt, session):
    dbt.ref("gx_staged_results")
    return find_broken_rows(session, countries=dbt.ref("countries"), languages=dbt.ref("languages"))
