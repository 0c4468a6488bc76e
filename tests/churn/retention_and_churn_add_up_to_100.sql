-- CRR + churn = 100 wherever S > 0; both are undefined elsewhere.
with

retention as (

    select * from {{ ref('retention') }}

),

churn as (

    select * from {{ ref('churn') }}

)

select
    retention.period_grain,
    retention.period_start,
    retention.dimension,
    retention.segment,
    retention.retention_rate_pct,
    churn.churn_rate_pct
from retention
left join churn
    on
        retention.period_grain = churn.period_grain
        and retention.period_start = churn.period_start
        and retention.dimension = churn.dimension
        and retention.segment = churn.segment
where
    case
        when retention.customers_at_start > 0
            then coalesce(abs(retention.retention_rate_pct + churn.churn_rate_pct - 100) > 1e-9, true)
        else retention.retention_rate_pct is not null or churn.churn_rate_pct is not null
    end
