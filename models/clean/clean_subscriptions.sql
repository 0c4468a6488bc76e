-- depends_on: {{ ref('quality_gate') }}
with

remaining as (

    {{ remaining_rows(ref('staged_subscriptions'), 'subscriptions', 'subscription_id') }}

)

select

    ---------- ids
    {{ customer_key() }} as customer_key,
    source_system,
    subscription_id,
    customer_id,

    ---------- text
    currency_code,

    ---------- numbers
    monthly_amount,
    rate_to_reporting as rate_at_start,

    ---------- times
    started_on,
    ended_on

from remaining
