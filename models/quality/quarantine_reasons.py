from customer_loyalty.gate import find_broken_rows


def model(dbt, session):
    assert dbt.ref("gx_staged_results").columns
    return find_broken_rows(session, countries=dbt.ref("countries"), languages=dbt.ref("languages"))
