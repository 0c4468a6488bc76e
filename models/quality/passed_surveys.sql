{{ config(materialized='view') }}

select staged.*
from {{ staged_with_reasons('surveys', 'response_id') }}
where not {{ is_left_out('surveys') }}
