{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('exchange_rates') }}

),

cleaned as (

    select

        ---------- ids
        source_system,
        {{ trim_text('currency_code') }} as currency_code,

        ---------- numbers
        {{ trim_text('rate_to_reporting') }} as rate_to_reporting,

        ---------- times
        {{ trim_text('rate_date') }} as rate_date,

        ---------- origin
        _source_file,
        _source_row

    from sources

),

typed as (

    select
        *,
        {{ text_to_decimal('rate_to_reporting', 18, 10) }} as rate_to_reporting_typed,
        {{ text_to_date('rate_date') }} as rate_date_typed
    from cleaned

)

select

    ---------- ids
    source_system,
    currency_code,

    ---------- numbers
    rate_to_reporting_typed as rate_to_reporting,

    ---------- times
    rate_date_typed as rate_date,

    ---------- what could not be cast
    {{ uncast('rate_to_reporting', 'rate_to_reporting_typed') }} as _uncast_rate_to_reporting,
    {{ uncast('rate_date', 'rate_date_typed') }} as _uncast_rate_date,

    ---------- origin
    _source_file,
    _source_row

from typed
