{{ config(materialized='view') }}

select staged.*
from {{ staged_with_reasons('subscriptions', 'subscription_id') }}
where not {{ is_left_out('subscriptions') }}
