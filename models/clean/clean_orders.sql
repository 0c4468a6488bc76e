-- depends_on: {{ ref('quality_gate') }}
with

remaining as (

    {{ remaining_rows(ref('staged_orders'), 'orders', 'order_id') }}

),

daily_rates as (

    {{ daily_rates(ref('clean_exchange_rates'), last_rate_day()) }}

),

filled as (

    select
        remaining.*,
        cast(coalesce(remaining.refunded_amount, 0) as decimal(18, 4)) as refunded,
        {{ rate_in_force('remaining.currency_code', 'daily_rates.rate_to_reporting') }} as rate_to_reporting
    from remaining
    {{ left_join_daily_rates('remaining', 'ordered_on') }}

)

select

    ---------- ids
    customer_number,
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
where {{ while_gate_is_open() }}
