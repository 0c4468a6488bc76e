{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('subscriptions') }}

),

known_customers as (

    {{ known_customers() }}

),

rates as (

    select * from {{ ref('staged_exchange_rates') }}

),

cleaned as (

    select

        ---------- ids
        source_system,
        {{ trim_text('subscription_id') }} as subscription_id,
        {{ trim_text('customer_id') }} as customer_id,

        ---------- text
        {{ trim_text('currency_code') }} as currency_code,

        ---------- numbers
        {{ trim_text('monthly_amount') }} as monthly_amount,

        ---------- times
        {{ trim_text('started_on') }} as started_on,
        {{ trim_text('ended_on') }} as ended_on,

        ---------- origin
        _source_file,
        _source_row

    from sources

),

typed as (

    select
        *,
        {{ text_to_decimal('monthly_amount', 18, 4) }} as monthly_amount_typed,
        {{ text_to_date('started_on') }} as started_on_typed,
        {{ text_to_date('ended_on') }} as ended_on_typed
    from cleaned

),

rate_days as (

    select distinct
        source_system,
        currency_code,
        started_on_typed as rate_on
    from typed
    where currency_code is not null and started_on_typed is not null

),

rates_in_force as (

    {{ rates_in_force('rate_days', 'rates') }}

)

select

    ---------- ids
    typed.source_system,
    typed.subscription_id,
    typed.customer_id,
    known_customers.customer_id as known_customer_id,

    ---------- text
    typed.currency_code,

    ---------- numbers
    typed.monthly_amount_typed as monthly_amount,
    rates_in_force.rate_to_reporting,

    ---------- times
    typed.started_on_typed as started_on,
    typed.ended_on_typed as ended_on,

    ---------- what could not be cast
    {{ uncast('typed.monthly_amount', 'typed.monthly_amount_typed') }} as _uncast_monthly_amount,
    {{ uncast('typed.started_on', 'typed.started_on_typed') }} as _uncast_started_on,
    {{ uncast('typed.ended_on', 'typed.ended_on_typed') }} as _uncast_ended_on,

    ---------- origin
    typed._source_file,
    typed._source_row

from typed
left join known_customers
    on
        typed.source_system = known_customers.source_system
        and typed.customer_id = known_customers.customer_id
left join rates_in_force
    on
        typed.source_system = rates_in_force.source_system
        and typed.currency_code = rates_in_force.currency_code
        and typed.started_on_typed = rates_in_force.rate_on
