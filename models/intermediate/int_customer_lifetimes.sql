with

customers as (

    select * from {{ ref('clean_customers') }}

),

orders as (

    select * from {{ ref('int_orders') }}

),

intervals as (

    select * from {{ ref('int_activity_intervals') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

),

windows as (

    select
        as_of_date,
        {{ add_days('as_of_date', 1 - setting('cltv_window_days')) }} as window_from
    from as_of

),

ordered as (

    select
        orders.customer_number,
        min(orders.ordered_on) as first_order_on,
        max(orders.ordered_on) as last_order_on,
        count(*) as orders,
        sum(orders.net_amount) as revenue,
        count(case when orders.ordered_on >= windows.window_from then 1 end) as window_orders,
        sum(case when orders.ordered_on >= windows.window_from then orders.net_amount else 0 end) as window_revenue
    from orders
    cross join windows
    group by orders.customer_number

),

active as (

    select
        intervals.customer_number,
        sum({{ active_days('intervals.active_from', 'intervals.active_to') }}) as active_days,
        sum(
            {{ active_days_since('windows.window_from', 'intervals.active_from', 'intervals.active_to') }}
        ) as window_active_days,
        max(intervals.active_to) as last_active_on
    from intervals
    cross join windows
    group by intervals.customer_number

)

select

    ---------- ids
    customers.customer_number,

    ---------- text
    customers.source_system,
    customers.country,
    customers.language,
    customers.acquisition_channel,

    ---------- times
    customers.signed_up_on,
    ordered.first_order_on,
    ordered.last_order_on,
    as_of.as_of_date,

    ---------- numbers
    cast(coalesce(ordered.revenue, 0) as decimal(38, 14)) as revenue,
    cast(coalesce(ordered.window_revenue, 0) as decimal(38, 14)) as window_revenue,
    coalesce(ordered.orders, 0) as orders,
    coalesce(ordered.window_orders, 0) as window_orders,
    coalesce(active.active_days, 0) as active_days,
    coalesce(active.window_active_days, 0) as window_active_days,

    ---------- booleans
    active.customer_number is not null as is_ever_active,
    coalesce(active.last_active_on = as_of.as_of_date, false) as is_active

from customers
cross join as_of
left join ordered on customers.customer_number = ordered.customer_number
left join active on customers.customer_number = active.customer_number
