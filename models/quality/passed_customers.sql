{{ config(materialized='view') }}

select staged.*
from {{ staged_with_reasons('customers', 'customer_id') }}
where not {{ is_left_out('customers') }}
