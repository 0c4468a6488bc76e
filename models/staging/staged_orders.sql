{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('orders') }}

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
        {{ trim_text('order_id') }} as order_id,
        {{ trim_text('customer_id') }} as customer_id,

        ---------- text
        {{ trim_text('status') }} as status,
        {{ trim_text('currency_code') }} as currency_code,

        ---------- numbers
        {{ trim_text('amount') }} as amount,
        {{ trim_text('refunded_amount') }} as refunded_amount,

        ---------- times
        {{ trim_text('ordered_at') }} as ordered_at,

        ---------- origin
        _source_file,
        _source_row

    from sources

),

typed as (

    select
        *,
        {{ text_to_decimal('amount', 18, 4) }} as amount_typed,
        {{ text_to_decimal('refunded_amount', 18, 4) }} as refunded_amount_typed,
        {{ text_to_timestamp('ordered_at') }} as ordered_at_typed
    from cleaned

),

dated as (

    select
        *,
        {{ local_date('ordered_at_typed', setting('reporting_time_zone')) }} as ordered_on
    from typed

),

rate_days as (

    select distinct
        source_system,
        currency_code,
        ordered_on as rate_on
    from dated
    where currency_code is not null and ordered_on is not null

),

rates_in_force as (

    {{ rates_in_force('rate_days', 'rates') }}

)

select

    ---------- ids
    dated.source_system,
    dated.order_id,
    dated.customer_id,
    known_customers.customer_id as known_customer_id,

    ---------- text
    dated.status,
    dated.currency_code,

    ---------- numbers
    dated.amount_typed as amount,
    dated.refunded_amount_typed as refunded_amount,
    rates_in_force.rate_to_reporting,

    ---------- times
    dated.ordered_at_typed as ordered_at,
    dated.ordered_on,
    known_customers.signed_up_at as customer_signed_up_at,

    ---------- what could not be cast
    {{ uncast('dated.amount', 'dated.amount_typed') }} as _uncast_amount,
    {{ uncast('dated.refunded_amount', 'dated.refunded_amount_typed') }} as _uncast_refunded_amount,
    {{ uncast('dated.ordered_at', 'dated.ordered_at_typed') }} as _uncast_ordered_at,

    ---------- origin
    dated._source_file,
    dated._source_row

from dated
left join known_customers
    on
        dated.source_system = known_customers.source_system
        and dated.customer_id = known_customers.customer_id
left join rates_in_force
    on
        dated.source_system = rates_in_force.source_system
        and dated.currency_code = rates_in_force.currency_code
        and dated.ordered_on = rates_in_force.rate_on
