with

subscriptions as (

    select * from {{ ref('clean_subscriptions') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

)

select
    subscriptions.customer_number,
    subscriptions.source_system,
    subscriptions.subscription_id,
    subscriptions.currency_code,
    subscriptions.monthly_amount,
    subscriptions.rate_at_start,
    subscriptions.started_on,
    subscriptions.ended_on
from subscriptions
-- contracts that start after the as-of date don't count yet
inner join as_of on subscriptions.started_on <= as_of.as_of_date
