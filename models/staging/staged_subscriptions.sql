{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('subscriptions', {
        'subscription_id': 'text',
        'customer_id': 'text',
        'started_on': 'date',
        'ended_on': 'date',
        'monthly_amount': 'decimal(18, 4)',
        'currency_code': 'text',
    }) }}

),

known_customers as (

    {{ known_customers() }}

),

first_rates as (

    {{ first_rates(ref('staged_exchange_rates')) }}

)

select

    ---------- ids
    sources.source_system,
    sources.subscription_id,
    sources.customer_id,
    known_customers.customer_number,

    ---------- text
    sources.currency_code,

    ---------- numbers
    sources.monthly_amount,

    ---------- times
    sources.started_on,
    sources.ended_on,

    ---------- what could not be cast
    sources._uncast_monthly_amount,
    sources._uncast_started_on,
    sources._uncast_ended_on,

    ---------- origin
    sources._source_file,
    sources._source_row,

    ---------- what rules need to know
    coalesce(sources.started_on >= first_rates.first_rate_on, false) as has_rate

from sources
left join known_customers
    on
        sources.source_system = known_customers.source_system
        and sources.customer_id = known_customers.customer_id
left join first_rates
    on
        sources.source_system = first_rates.source_system
        and sources.currency_code = first_rates.currency_code
