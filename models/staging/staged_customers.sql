{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('customers') }}

),

cleaned as (

    select

        ---------- ids
        source_system,
        {{ trim_text('customer_id') }} as customer_id,

        ---------- text
        {{ trim_text('email') }} as email,
        {{ trim_text('full_name') }} as full_name,
        {{ trim_text('country_code') }} as country_code,
        {{ trim_text('language_code') }} as language_code,
        {{ trim_text('acquisition_channel') }} as acquisition_channel,

        ---------- times
        {{ trim_text('signed_up_at') }} as signed_up_at,

        ---------- origin
        _source_file,
        _source_row

    from sources

),

typed as (

    select
        *,
        {{ text_to_timestamp('signed_up_at') }} as signed_up_at_typed
    from cleaned

)

select

    ---------- ids
    source_system,
    customer_id,

    ---------- text
    email,
    full_name,
    country_code,
    language_code,
    acquisition_channel,

    ---------- times
    signed_up_at_typed as signed_up_at,

    ---------- what could not be cast
    {{ uncast('signed_up_at', 'signed_up_at_typed') }} as _uncast_signed_up_at,

    ---------- origin
    _source_file,
    _source_row

from typed
