/*
Which customers are behind one row of the mart retention?

One row per customer who was active on the day before the period (S), at its close (E), or for the first time in between
(passing). The close is the period's last day, or the as-of date if the period is incomplete.
    retained       in S and in E              lost           in S, not in E
    new            in E, never active before  reactivated    in E, not in S, but active some time before
    passing        active for the first time within the period, and no longer at its close
The counts per class are the columns customers_... of the mart's row of the same period, dimension and segment. They are
calculated in another way: here each customer is looked up on the two days, while the mart adds up arrivals and losses.
So if the two agree, both are right, unless int_activity_intervals is wrong, which both read.

active_from and active_to are the deciding activity interval: the one at the close; for lost customers the one at the
start, whose active_to is their last active day; for passing customers their first. An order keeps its customer active
for activity_window_days, so customers lost in a period last ordered about that long before. From first_contract_on on
only contracts count, and orders don't matter.

Parameters: period_grain, period_start, dimension, segment (by default all of the dimension). There are no rows if the
period or segment does not exist. See docs/analyses.md.
*/
{{ config(group='metrics') }}
{%- set given = parameters({
    'period_grain': ['one of', setting('period_grains')],
    'period_start': ['day', none],
    'dimension': ['one of', ['all'] + setting('segment_dimensions')],
    'segment': ['text', none],
}) %}

with

calendar as (

    select *
    from {{ ref('int_calendar') }}
    where period_grain = '{{ given.period_grain }}'

),

intervals as (

    select * from {{ ref('int_activity_intervals') }}

),

orders as (

    select * from {{ ref('int_orders') }}

),

subscriptions as (

    select * from {{ ref('int_subscriptions') }}

),

keys as (

    select * from {{ ref('int_customer_keys') }}

),

customers as (

    select
        keys.customer_number,
        customers.customer_key,
        {{ "'all'" if given.dimension == 'all' else 'customers.' ~ given.dimension }} as segment
    from {{ ref('customers') }} as customers
    inner join keys on customers.customer_key = keys.customer_key

),

in_segment as (

    select *
    from customers
    {%- if given.segment %}
    where segment = {{ given.segment }}
    {%- endif %}

),

-- one row
period as (

    select
        max(period_start) as period_start,
        max(close_on) as close_on
    from calendar
    where {{ is_chosen_period(given.period_start) }}

),

-- each interval, and which of the two days it contains
looked_at as (

    select
        intervals.*,
        period.period_start,
        period.close_on,
        {{ add_days('period.period_start', -1) }} between intervals.active_from and intervals.active_to as holds_start,
        period.close_on between intervals.active_from and intervals.active_to as holds_close
    from intervals
    inner join period on intervals.active_from <= period.close_on

),

-- a customer's intervals don't overlap: at most one contains a day
at_closes as (

    select
        customer_number,
        period_start,
        close_on,
        min(active_from) as first_active_on,
        min(active_to) as first_active_to,
        max(case when holds_start then active_from end) as start_from,
        max(case when holds_start then active_to end) as start_to,
        max(case when holds_close then active_from end) as close_from,
        max(case when holds_close then active_to end) as close_to
    from looked_at
    group by customer_number, period_start, close_on

),

classed as (

    select
        *,
        start_from is not null as is_at_start,
        close_from is not null as is_at_end,
        case
            when start_from is not null and close_from is not null then 'retained'
            when start_from is not null then 'lost'
            when close_from is not null and first_active_on < period_start then 'reactivated'
            when close_from is not null then 'new'
            when first_active_on >= period_start then 'passing'
        end as class
    from at_closes

),

last_orders as (

    select
        orders.customer_number,
        max(orders.ordered_on) as last_order_on
    from orders
    inner join period on orders.ordered_on <= period.close_on
    group by orders.customer_number

),

first_contracts as (

    select
        customer_number,
        min(started_on) as first_contract_on
    from subscriptions
    group by customer_number

)

select
    in_segment.customer_key,
    classed.class,
    coalesce(classed.close_from, classed.start_from, classed.first_active_on) as active_from,
    coalesce(classed.close_to, classed.start_to, classed.first_active_to) as active_to,
    last_orders.last_order_on,
    classed.first_active_on,
    first_contracts.first_contract_on,
    classed.is_at_start,
    classed.is_at_end,
    in_segment.segment,
    '{{ given.dimension }}' as dimension,
    classed.period_start,
    classed.close_on
from classed
inner join in_segment on classed.customer_number = in_segment.customer_number
left join last_orders on classed.customer_number = last_orders.customer_number
left join first_contracts on classed.customer_number = first_contracts.customer_number
where classed.class is not null
order by classed.class, in_segment.customer_key
