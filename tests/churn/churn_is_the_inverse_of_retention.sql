-- Both marts have the same rows, the same S and the same lost customers; CRR + churn = 100 if S > 0.
with

retention as (

    select * from {{ ref('retention') }}

),

churn as (

    select * from {{ ref('churn') }}

)

select
    retention.retention_rate_pct,
    churn.churn_rate_pct,
    coalesce(retention.period_grain, churn.period_grain) as period_grain,
    coalesce(retention.period_start, churn.period_start) as period_start,
    coalesce(retention.dimension, churn.dimension) as dimension,
    coalesce(retention.segment, churn.segment) as segment
from retention
full outer join churn
    on
        retention.period_grain = churn.period_grain
        and retention.period_start = churn.period_start
        and retention.dimension = churn.dimension
        and retention.segment = churn.segment
where
    retention.customers_at_start is distinct from churn.customers_at_start
    or retention.customers_lost is distinct from churn.customers_lost
    or coalesce(abs(retention.retention_rate_pct + churn.churn_rate_pct - 100) > 1e-9, churn.customers_at_start > 0)
