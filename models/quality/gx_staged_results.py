from customer_loyalty.gate import judge_staged


def model(dbt, session):
    # The refs make the order of the build; Great Expectations reads the tables by their names.
    for staged in (
        dbt.ref("staged_customers"),
        dbt.ref("staged_orders"),
        dbt.ref("staged_surveys"),
        dbt.ref("staged_exchange_rates"),
        dbt.ref("staged_subscriptions"),
    ):
        assert staged.columns
    return judge_staged(session, countries=dbt.ref("countries"), languages=dbt.ref("languages"))
