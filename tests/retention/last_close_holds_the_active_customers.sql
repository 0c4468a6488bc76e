-- E of the latest period of each grain, counted anew: customers with an activity interval that holds the as-of date.
with

retention as (

    select * from {{ ref('retention') }}

),

active as (

    select count(distinct intervals.customer_key) as customers_active
    from {{ ref('int_activity_intervals') }} as intervals
    inner join {{ ref('int_as_of') }} as as_of on intervals.active_to = as_of.as_of_date

),

latest as (

    select
        period_grain,
        customers_at_end,
        row_number() over (partition by period_grain order by period_start desc) as from_latest
    from retention
    where dimension = 'all'

)

select
    latest.period_grain,
    latest.customers_at_end,
    active.customers_active
from latest
cross join active
where latest.from_latest = 1 and latest.customers_at_end != active.customers_active
