-- depends_on: {{ ref('quality_gate') }}
with

remaining as (

    {{ remaining_rows(ref('staged_customers'), 'customers', 'customer_id') }}

)

select

    ---------- ids
    customer_number,
    {{ customer_key() }} as customer_key,
    source_system,
    customer_id,

    ---------- text
    coalesce(country_code, 'unknown') as country,
    coalesce(language_code, 'unknown') as language,
    coalesce(acquisition_channel, 'unknown') as acquisition_channel,

    ---------- times
    signed_up_at,
    signed_up_on

from remaining
where {{ while_gate_is_open() }}
