with

lifetimes as (

    select * from {{ ref('int_customer_lifetimes') }}

),

orders as (

    select * from {{ ref('int_orders') }}

),

intervals as (

    select * from {{ ref('int_activity_intervals') }}

),

-- a customer belongs to the calendar month of their first order that counts
members as (

    select
        customer_number,
        {{ first_day_of('month', 'first_order_on') }} as cohort_month,
        as_of_date
    from lifetimes
    where first_order_on is not null

),

cohorts as (

    select
        cohort_month,
        as_of_date,
        count(*) as customers_in_cohort
    from members
    group by cohort_month, as_of_date

),

bounds as (

    select
        min(cohort_month) as first_month,
        max(as_of_date) as as_of_date
    from cohorts

),

days as (

    {{ each_day('bounds', [], 'first_month', 'as_of_date') }}

),

cohort_months as (

    select
        cohorts.cohort_month,
        cohorts.as_of_date,
        cohorts.customers_in_cohort,
        {{ month_end('days.day_on') }} as last_day,
        {{ months_between('cohorts.cohort_month', 'days.day_on') }} as months_since
    from cohorts
    inner join days on cohorts.cohort_month <= days.day_on
    where days.day_on = {{ first_day_of('month', 'days.day_on') }}

),

ordering as (

    select
        members.cohort_month,
        {{ months_between('members.cohort_month', 'orders.ordered_on') }} as months_since,
        count(distinct orders.customer_number) as customers_ordering,
        count(*) as orders,
        sum(orders.net_amount) as revenue
    from orders
    inner join members on orders.customer_number = members.customer_number
    group by members.cohort_month, {{ months_between('members.cohort_month', 'orders.ordered_on') }}

),

-- the months whose last day (or the as-of date) is in an interval, as in int_period_stays
runs as (

    select
        members.cohort_month,
        greatest({{ months_between('members.cohort_month', 'intervals.active_from') }}, 0) as first_month,
        {{ months_between('members.cohort_month', 'intervals.active_to') }}
        - case
            when intervals.active_to >= least({{ month_end('intervals.active_to') }}, members.as_of_date) then 0
            else 1
        end as last_month
    from intervals
    inner join members on intervals.customer_number = members.customer_number

),

arrivals_and_departures as (

    select
        cohort_month,
        first_month as months_since,
        1 as customers_change
    from runs
    where first_month <= last_month
    union all
    select
        cohort_month,
        last_month + 1 as months_since,
        -1 as customers_change
    from runs
    where first_month <= last_month

),

changes as (

    select
        cohort_month,
        months_since,
        sum(customers_change) as customers_change
    from arrivals_and_departures
    group by cohort_month, months_since

),

filled as (

    select
        cohort_months.cohort_month,
        cohort_months.months_since,
        cohort_months.customers_in_cohort,
        coalesce(ordering.customers_ordering, 0) as customers_ordering,
        coalesce(ordering.orders, 0) as orders,
        sum(coalesce(changes.customers_change, 0)) over (
            partition by cohort_months.cohort_month
            order by cohort_months.months_since
            rows between unbounded preceding and current row
        ) as customers_active,
        sum(coalesce(ordering.revenue, 0)) over (
            partition by cohort_months.cohort_month
            order by cohort_months.months_since
            rows between unbounded preceding and current row
        ) as cumulative_revenue,
        cohort_months.last_day <= cohort_months.as_of_date as is_complete_period
    from cohort_months
    left join ordering
        on
            cohort_months.cohort_month = ordering.cohort_month
            and cohort_months.months_since = ordering.months_since
    left join changes
        on
            cohort_months.cohort_month = changes.cohort_month
            and cohort_months.months_since = changes.months_since

)

select
    cohort_month,
    cast(months_since as integer) as months_since,
    customers_in_cohort,
    customers_ordering,
    orders,
    {{ percentage('customers_ordering', 'customers_in_cohort') }} as ordering_pct,
    cast(customers_active as bigint) as customers_active,
    {{ percentage('customers_active', 'customers_in_cohort') }} as retention_pct,
    cast(cumulative_revenue as decimal(38, 14)) as cumulative_revenue,
    is_complete_period
from filled
