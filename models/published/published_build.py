from customer_loyalty.dbt_models import publish


def model(dbt, session):
    # The publish comes after everything else in a build, including all tests.
    dbt.ref("retention")
    dbt.ref("churn")
    dbt.ref("nps")
    dbt.ref("csat")
    dbt.ref("ces")
    dbt.ref("reviews")
    dbt.ref("cltv")
    dbt.ref("customers")
    dbt.ref("cohort_retention")
    dbt.ref("gx_validation_results")
    dbt.ref("input_summary")
    dbt.ref("quarantined_raw_customers")
    dbt.ref("quarantined_raw_orders")
    dbt.ref("quarantined_raw_surveys")
    dbt.ref("quarantined_raw_subscriptions")
    dbt.ref("rules")
    dbt.ref("customer_history")
    return publish(session)
