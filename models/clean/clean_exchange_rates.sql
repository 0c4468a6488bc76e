-- depends_on: {{ ref('quality_gate') }}
with

staged as (

    select * from {{ ref('staged_exchange_rates') }}

)

select

    ---------- ids
    source_system,
    currency_code,

    ---------- numbers
    rate_to_reporting,

    ---------- times
    rate_date

from staged
where {{ while_gate_is_open() }}
