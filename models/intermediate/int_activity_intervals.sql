with

orders as (

    select * from {{ ref('int_orders') }}

),

subscriptions as (

    select * from {{ ref('int_subscriptions') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

),

first_contracts as (

    select
        customer_number,
        min(started_on) as first_contract_on
    from subscriptions
    group by customer_number

),

-- from the first contract on only contracts count, and signing one does not change the past
order_stretches as (

    select
        orders.customer_number,
        orders.ordered_on as active_from,
        least(
            {{ active_until('orders.ordered_on') }},
            coalesce({{ add_days('first_contracts.first_contract_on', -1) }}, as_of.as_of_date),
            as_of.as_of_date
        ) as active_to
    from orders
    cross join as_of
    left join first_contracts on orders.customer_number = first_contracts.customer_number
    where
        first_contracts.first_contract_on is null
        or orders.ordered_on < first_contracts.first_contract_on

),

contract_stretches as (

    select
        subscriptions.customer_number,
        subscriptions.started_on as active_from,
        least(coalesce({{ add_days('subscriptions.ended_on', -1) }}, as_of.as_of_date), as_of.as_of_date) as active_to
    from subscriptions
    cross join as_of

),

stretches as (

    select * from order_stretches
    union all
    select * from contract_stretches

),

-- the last active day of the stretches before each, and of all
looked_back as (

    select
        customer_number,
        active_from,
        max(active_to) over (
            partition by customer_number
            order by active_from, active_to
            rows between unbounded preceding and 1 preceding
        ) as active_to_before,
        max(active_to) over (
            partition by customer_number
            order by active_from, active_to
            rows between unbounded preceding and unbounded following
        ) as last_active_to
    from stretches

),

-- a stretch starts a new interval unless an earlier one overlaps it or ends the day before
openings as (

    select *
    from looked_back
    where active_to_before is null or active_from > {{ add_days('active_to_before', 1) }}

)

select
    customer_number,
    active_from,
    row_number() over (partition by customer_number order by active_from) as interval_number,
    -- up to the last active day before the next interval
    coalesce(
        lead(active_to_before) over (partition by customer_number order by active_from), last_active_to
    ) as active_to
from openings
