-- depends_on: {{ ref('quality_gate') }}
with

remaining as (

    {{ remaining_rows(ref('staged_subscriptions'), 'subscriptions', 'subscription_id') }}

),

daily_rates as (

    {{ daily_rates(ref('clean_exchange_rates'), last_rate_day()) }}

)

select

    ---------- ids
    remaining.customer_number,
    remaining.source_system,
    remaining.subscription_id,
    remaining.customer_id,

    ---------- text
    remaining.currency_code,

    ---------- numbers
    remaining.monthly_amount,
    {{ rate_in_force('remaining.currency_code', 'daily_rates.rate_to_reporting') }} as rate_at_start,

    ---------- times
    remaining.started_on,
    remaining.ended_on

from remaining
{{ left_join_daily_rates('remaining', 'started_on') }}
where {{ while_gate_is_open() }}
