-- depends_on: {{ ref('quality_gate') }}
with

remaining as (

    {{ remaining_rows(ref('staged_surveys'), 'surveys', 'response_id') }}

)

select

    ---------- ids
    -- an anonymous response has no customer, hence no number
    customer_number,
    source_system,
    response_id,
    customer_id,

    ---------- text
    survey_type,
    language_code,

    ---------- numbers
    score,
    scale_min,
    scale_max,

    ---------- times
    responded_at,
    responded_on,

    ---------- segments
    coalesce(channel, 'unknown') as channel

from remaining
where {{ while_gate_is_open() }}
