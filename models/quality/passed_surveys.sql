{{ config(materialized='view', schema='staging') }}

-- in the columns of the staged rows, but for personal ones
select

    ---------- ids
    staged.source_system,
    staged.response_id,
    staged.customer_id,
    staged.known_customer_id,

    ---------- text
    staged.survey_type,
    staged.channel,
    staged.language_code,

    ---------- numbers
    staged.score,
    staged.scale_min,
    staged.scale_max,

    ---------- times
    staged.responded_at,
    staged.responded_on,
    staged.customer_signed_up_at,

    ---------- what could not be cast
    staged._uncast_score,
    staged._uncast_scale_min,
    staged._uncast_scale_max,
    staged._uncast_responded_at,

    ---------- origin
    staged._source_file,
    staged._source_row

from {{ staged_with_reasons('surveys', 'response_id') }}
where not {{ is_left_out('surveys') }}
