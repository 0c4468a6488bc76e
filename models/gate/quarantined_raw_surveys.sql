{{ config(materialized='view') }}

select

    ---------- ids
    {{ customer_key('staged.source_system', 'staged.customer_id') }} as customer_key,
    staged.source_system,
    staged.response_id,

    ---------- numbers
    staged.score,
    staged.scale_min,
    staged.scale_max,

    ---------- times
    staged.responded_at,
    staged.responded_on,

    ---------- why
    {{ quarantine_reasons('surveys') }},

    ---------- origin
    staged._source_file,
    staged._source_row

from {{ staged_with_reasons(ref('staged_surveys'), 'surveys', 'response_id') }}
where {{ is_left_out('surveys') }}
