{{ config(materialized='view') }}

select

    ---------- ids
    {{ customer_key('staged.source_system', 'staged.customer_id') }} as customer_key,
    staged.source_system,
    staged.customer_id,

    ---------- times
    staged.signed_up_at,

    ---------- why
    {{ quarantine_reasons('customers') }},

    ---------- origin
    staged._source_file,
    staged._source_row

from {{ staged_with_reasons(ref('staged_customers'), 'customers', 'customer_id') }}
where {{ is_left_out('customers') }}
