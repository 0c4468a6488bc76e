{{ config(post_hook='{{ note_staging() }}') }}

with

sources as (

    {{ union_sources('orders', {
        'order_id': 'text',
        'customer_id': 'text',
        'ordered_at': 'timestamp',
        'status': 'text',
        'currency_code': 'text',
        'amount': 'decimal(18, 4)',
        'refunded_amount': 'decimal(18, 4)',
    }) }}

),

known_customers as (

    {{ known_customers() }}

),

first_rates as (

    {{ first_rates(ref('staged_exchange_rates')) }}

)

select

    ---------- ids
    sources.source_system,
    sources.order_id,
    sources.customer_id,
    known_customers.customer_number,

    ---------- text
    sources.status,
    sources.currency_code,

    ---------- numbers
    sources.amount,
    sources.refunded_amount,

    ---------- times
    sources.ordered_at,
    sources.ordered_on,

    ---------- what could not be cast
    sources._uncast_amount,
    sources._uncast_refunded_amount,
    sources._uncast_ordered_at,

    ---------- origin
    sources._source_file,
    sources._source_row,

    ---------- what rules need to know
    sources.ordered_at < known_customers.signed_up_at as is_before_sign_up,
    coalesce(sources.ordered_on >= first_rates.first_rate_on, false) as has_rate

from sources
left join known_customers
    on
        sources.source_system = known_customers.source_system
        and sources.customer_id = known_customers.customer_id
left join first_rates
    on
        sources.source_system = first_rates.source_system
        and sources.currency_code = first_rates.currency_code
