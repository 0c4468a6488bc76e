with

period_customers as (

    select * from {{ ref('int_period_customers') }}

),

revenue_at_start as (

    select * from {{ ref('int_revenue_at_start') }}

),

revenue_changes as (

    select * from {{ ref('int_revenue_changes') }}

),

-- a cell without contracts has 0 revenue; if nobody ever had one, revenue is undefined
contracts as (

    select case when count(*) > 0 then 0 end as no_revenue
    from {{ ref('int_subscriptions') }}

),

joined as (

    select
        period_customers.*,
        coalesce(revenue_at_start.revenue_at_start, contracts.no_revenue) as revenue_at_start,
        coalesce(revenue_changes.revenue_lost, contracts.no_revenue) as revenue_lost,
        coalesce(revenue_changes.revenue_contraction, contracts.no_revenue) as revenue_contraction,
        coalesce(revenue_changes.revenue_expansion, contracts.no_revenue) as revenue_expansion
    from period_customers
    cross join contracts
    left join revenue_at_start
        on
            period_customers.period_grain = revenue_at_start.period_grain
            and period_customers.period_number = revenue_at_start.period_number
            and period_customers.dimension = revenue_at_start.dimension
            and period_customers.segment = revenue_at_start.segment
    left join revenue_changes
        on
            period_customers.period_grain = revenue_changes.period_grain
            and period_customers.period_number = revenue_changes.period_number
            and period_customers.dimension = revenue_changes.dimension
            and period_customers.segment = revenue_changes.segment

)

select
    period_grain,
    period_start,
    period_end,
    dimension,
    segment,
    is_complete_period,
    is_burn_in_period,
    customers_at_start,
    customers_lost,
    {{ churn_rate_pct('customers_at_start', 'customers_lost') }} as churn_rate_pct,
    {{ wilson_bound('customers_lost', 'customers_at_start', 'low') }} as churn_rate_low_pct,
    {{ wilson_bound('customers_lost', 'customers_at_start', 'high') }} as churn_rate_high_pct,
    cast(revenue_at_start as decimal(38, 14)) as revenue_at_start,
    cast(revenue_lost as decimal(38, 14)) as revenue_lost,
    cast(revenue_contraction as decimal(38, 14)) as revenue_contraction,
    cast(revenue_expansion as decimal(38, 14)) as revenue_expansion,
    {{ revenue_churn_pct('revenue_at_start', 'revenue_lost') }} as revenue_churn_pct,
    {{ gross_revenue_retention_pct('revenue_at_start', 'revenue_lost', 'revenue_contraction') }}
        as gross_revenue_retention_pct,
    {{ net_revenue_retention_pct(
        'revenue_at_start', 'revenue_lost', 'revenue_contraction', 'revenue_expansion'
    ) }} as net_revenue_retention_pct
from joined
