with

period_customers as (

    select * from {{ ref('int_period_customers') }}

),

counted as (

    select
        *,
        customers_new + customers_reactivated as customers_acquired,
        customers_at_start - customers_lost as customers_retained
    from period_customers

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
    customers_at_end,
    customers_new,
    customers_reactivated,
    customers_acquired,
    customers_retained,
    customers_lost,
    customers_passing,
    {{ retention_rate_pct('customers_at_start', 'customers_at_end', 'customers_acquired') }} as retention_rate_pct,
    {{ wilson_bound('customers_retained', 'customers_at_start', 'low') }} as retention_rate_low_pct,
    {{ wilson_bound('customers_retained', 'customers_at_start', 'high') }} as retention_rate_high_pct
from counted
