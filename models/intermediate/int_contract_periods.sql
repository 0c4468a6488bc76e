with

subscriptions as (

    select * from {{ ref('int_subscriptions') }}

),

customers as (

    select * from {{ ref('clean_customers') }}

),

calendar as (

    select * from {{ ref('int_calendar') }}

)

select
    subscriptions.customer_number,
    subscriptions.subscription_id,
    subscriptions.currency_code,
    subscriptions.monthly_amount,
    subscriptions.rate_at_start,
    calendar_from.period_grain,
    calendar_from.period_number as begins_in,
    -- NULL if it is running: an end after the as-of date is not in the calendar
    calendar_to.period_number as ends_in,
    customers.country,
    customers.language,
    customers.acquisition_channel,
    customers.source_system
from subscriptions
inner join customers on subscriptions.customer_number = customers.customer_number
inner join calendar as calendar_from on subscriptions.started_on = calendar_from.calendar_on
left join calendar as calendar_to
    on
        subscriptions.ended_on = calendar_to.calendar_on
        and calendar_from.period_grain = calendar_to.period_grain
