{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('exchange_rates', {
        'currency_code': 'text',
        'rate_date': 'date',
        'rate_to_reporting': 'decimal(18, 10)',
    }) }}

)

select

    ---------- ids
    source_system,
    currency_code,

    ---------- numbers
    rate_to_reporting,

    ---------- times
    rate_date,

    ---------- what could not be cast
    _uncast_rate_to_reporting,
    _uncast_rate_date,

    ---------- origin
    _source_file,
    _source_row

from sources
