{{ config(materialized='view', schema='staging') }}

select

    ---------- ids
    staged.source_system,
    staged.order_id,
    staged.customer_id,
    staged.known_customer_id,

    ---------- text
    staged.status,
    staged.currency_code,

    ---------- numbers
    staged.amount,
    staged.refunded_amount,
    staged.rate_to_reporting,

    ---------- times
    staged.ordered_at,
    staged.ordered_on,
    staged.customer_signed_up_at,

    ---------- what could not be cast
    staged._uncast_amount,
    staged._uncast_refunded_amount,
    staged._uncast_ordered_at,

    ---------- origin
    staged._source_file,
    staged._source_row

from {{ staged_with_reasons('orders', 'order_id') }}
where not {{ is_left_out('orders') }}
