with

orders as (

    select * from {{ ref('clean_orders') }}

),

surveys as (

    select * from {{ ref('clean_surveys') }}

),

subscriptions as (

    select * from {{ ref('clean_subscriptions') }}

),

{% if setting('as_of_date') is not none %}

as_of as (

    select cast('{{ setting("as_of_date") }}' as date) as as_of_date

),

{% else %}

seen as (

    select ordered_on as seen_on from orders
    union all
    select responded_on as seen_on from surveys

),

contract_dates as (

    select started_on as contract_on from subscriptions
    union all
    select ended_on as contract_on from subscriptions

),

-- the only other use of the clock than the gate's: with contracts only, their latest date that is not in the future
as_of as (

    select
        coalesce(
            (select max(seen.seen_on) from seen),
            (
                select max(contract_dates.contract_on)
                from contract_dates
                where
                    contract_dates.contract_on
                    <= {{ local_date(run_started_at_utc(), setting('reporting_time_zone')) }}
            )
        ) as as_of_date

),

{% endif %}

first_order as (

    select min(orders.ordered_on) as first_order_on
    from orders
    inner join as_of on orders.ordered_on <= as_of.as_of_date
    where orders.is_counted

)

select
    as_of.as_of_date,
    first_order.first_order_on
from as_of
cross join first_order
-- without data there is no as-of date: no row here means no rows in any mart
where as_of.as_of_date is not null
