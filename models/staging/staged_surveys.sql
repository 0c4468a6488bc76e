{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('surveys') }}

),

known_customers as (

    {{ known_customers() }}

),

cleaned as (

    select

        ---------- ids
        source_system,
        {{ trim_text('response_id') }} as response_id,
        {{ trim_text('customer_id') }} as customer_id,

        ---------- text
        {{ trim_text('survey_type') }} as survey_type,
        {{ trim_text('channel') }} as channel,
        {{ trim_text('language_code') }} as language_code,
        {{ trim_text('comment') }} as comment,

        ---------- numbers
        {{ trim_text('score') }} as score,
        {{ trim_text('scale_min') }} as scale_min,
        {{ trim_text('scale_max') }} as scale_max,

        ---------- times
        {{ trim_text('responded_at') }} as responded_at,

        ---------- origin
        _source_file,
        _source_row

    from sources

),

typed as (

    select
        *,
        {{ text_to_decimal('score', 28, 18) }} as score_typed,
        {{ text_to_integer('scale_min') }} as scale_min_typed,
        {{ text_to_integer('scale_max') }} as scale_max_typed,
        {{ text_to_timestamp('responded_at') }} as responded_at_typed
    from cleaned

)

select

    ---------- ids
    typed.source_system,
    typed.response_id,
    typed.customer_id,
    known_customers.customer_id as known_customer_id,

    ---------- text
    typed.survey_type,
    typed.channel,
    typed.language_code,
    typed.comment,

    ---------- numbers
    typed.score_typed as score,
    typed.scale_min_typed as scale_min,
    typed.scale_max_typed as scale_max,

    ---------- times
    typed.responded_at_typed as responded_at,
    {{ local_date('typed.responded_at_typed', setting('reporting_time_zone')) }} as responded_on,
    known_customers.signed_up_at as customer_signed_up_at,

    ---------- what could not be cast
    {{ uncast('typed.score', 'typed.score_typed') }} as _uncast_score,
    {{ uncast('typed.scale_min', 'typed.scale_min_typed') }} as _uncast_scale_min,
    {{ uncast('typed.scale_max', 'typed.scale_max_typed') }} as _uncast_scale_max,
    {{ uncast('typed.responded_at', 'typed.responded_at_typed') }} as _uncast_responded_at,

    ---------- origin
    typed._source_file,
    typed._source_row

from typed
left join known_customers
    on
        typed.source_system = known_customers.source_system
        and typed.customer_id = known_customers.customer_id
