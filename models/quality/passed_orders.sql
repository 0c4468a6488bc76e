{{ config(materialized='view') }}

select staged.*
from {{ staged_with_reasons('orders', 'order_id') }}
where not {{ is_left_out('orders') }}
