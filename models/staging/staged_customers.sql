{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('customers', {
        'customer_id': 'text',
        'signed_up_at': 'timestamp',
        'email': 'text',
        'full_name': 'text',
        'country_code': 'text',
        'language_code': 'text',
        'acquisition_channel': 'text',
    }) }}

)

select

    ---------- ids
    source_system,
    customer_id,
    {{ row_id() }} as customer_number,

    ---------- text
    email,
    full_name,
    country_code,
    language_code,
    acquisition_channel,

    ---------- times
    signed_up_at,
    signed_up_on,

    ---------- what could not be cast
    _uncast_signed_up_at,

    ---------- origin
    _source_file,
    _source_row

from sources
