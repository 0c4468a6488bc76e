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
        customer_key,
        min(started_on) as first_contract_on
    from subscriptions
    group by customer_key

),

order_days as (

    select distinct
        customer_key,
        ordered_on
    from orders

),

-- from the first contract on only contracts count, and signing one does not change the past
order_stretches as (

    select
        order_days.customer_key,
        order_days.ordered_on as active_from,
        least(
            {{ active_until('order_days.ordered_on') }},
            coalesce({{ add_days('first_contracts.first_contract_on', -1) }}, as_of.as_of_date),
            as_of.as_of_date
        ) as active_to
    from order_days
    cross join as_of
    left join first_contracts on order_days.customer_key = first_contracts.customer_key
    where
        first_contracts.first_contract_on is null
        or order_days.ordered_on < first_contracts.first_contract_on

),

contract_stretches as (

    select
        subscriptions.customer_key,
        subscriptions.started_on as active_from,
        least(coalesce({{ add_days('subscriptions.ended_on', -1) }}, as_of.as_of_date), as_of.as_of_date) as active_to
    from subscriptions
    cross join as_of

),

-- without duplicates, whose order could differ between the windows below
stretches as (

    select * from order_stretches
    union
    select * from contract_stretches

),

-- a stretch starts a new interval unless an earlier one overlaps it or ends the day before
marked as (

    select
        customer_key,
        active_from,
        active_to,
        case
            when active_from <= {{ add_days('max(active_to) over (
                partition by customer_key
                order by active_from, active_to
                rows between unbounded preceding and 1 preceding
            )', 1) }}
                then 0
            else 1
        end as opens_interval
    from stretches

),

numbered as (

    select
        customer_key,
        active_from,
        active_to,
        sum(opens_interval) over (
            partition by customer_key
            order by active_from, active_to
            rows between unbounded preceding and current row
        ) as interval_number
    from marked

)

select
    customer_key,
    interval_number,
    min(active_from) as active_from,
    max(active_to) as active_to
from numbered
group by customer_key, interval_number
