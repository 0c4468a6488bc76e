{{ config(materialized='view') }}

select

    ---------- ids
    {{ customer_key('staged.source_system', 'staged.customer_id') }} as customer_key,
    staged.source_system,
    staged.order_id,

    ---------- numbers
    staged.amount,
    staged.refunded_amount,

    ---------- times
    staged.ordered_at,
    staged.ordered_on,

    ---------- why
    {{ quarantine_reasons('orders') }},

    ---------- origin
    staged._source_file,
    staged._source_row

from {{ staged_with_reasons(ref('staged_orders'), 'orders', 'order_id') }}
where {{ is_left_out('orders') }}
