{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('surveys', {
        'response_id': 'text',
        'customer_id': 'text',
        'survey_type': 'text',
        'responded_at': 'timestamp',
        'score': 'decimal(28, 18)',
        'scale_min': 'integer',
        'scale_max': 'integer',
        'channel': 'text',
        'language_code': 'text',
        'comment': 'text',
    }) }}

),

known_customers as (

    {{ known_customers() }}

)

select

    ---------- ids
    sources.source_system,
    sources.response_id,
    sources.customer_id,
    known_customers.customer_number,

    ---------- text
    sources.survey_type,
    sources.channel,
    sources.language_code,
    sources.comment,

    ---------- numbers
    sources.score,
    sources.scale_min,
    sources.scale_max,

    ---------- times
    sources.responded_at,
    sources.responded_on,

    ---------- what could not be cast
    sources._uncast_score,
    sources._uncast_scale_min,
    sources._uncast_scale_max,
    sources._uncast_responded_at,

    ---------- origin
    sources._source_file,
    sources._source_row,

    ---------- what rules need to know
    sources.responded_at < known_customers.signed_up_at as is_before_sign_up

from sources
left join known_customers
    on
        sources.source_system = known_customers.source_system
        and sources.customer_id = known_customers.customer_id
