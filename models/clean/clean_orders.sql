-- depends_on: {{ ref('quality_gate') }}
with

remaining as (

    {{ remaining_rows(ref('staged_orders'), 'orders', 'order_id') }}

),

filled as (

    select
        *,
        cast(coalesce(refunded_amount, 0) as decimal(18, 4)) as refunded
    from remaining

)

select

    ---------- ids
    {{ customer_key() }} as customer_key,
    source_system,
    order_id,
    customer_id,

    ---------- text
    status,
    currency_code,

    ---------- numbers
    amount,
    refunded as refunded_amount,
    rate_to_reporting,
    {{ net_amount('amount', 'refunded', 'rate_to_reporting') }} as net_amount,

    ---------- booleans
    {{ order_counts('status', 'amount', 'refunded') }} as is_counted,

    ---------- times
    ordered_at,
    ordered_on

from filled
