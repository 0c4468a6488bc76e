with

lifetimes as (

    select * from {{ ref('int_customer_lifetimes') }}

),

customers as (

    select
        as_of_date,
        country,
        language,
        acquisition_channel,
        source_system,
        window_active_days,
        active_days,
        window_orders as orders,
        window_revenue as revenue,
        revenue as historic_revenue,
        1 as customers,
        case when window_orders > 0 then 1 else 0 end as purchasers,
        case when is_active then 0 else 1 end as customers_lapsed
    from lifetimes
    where is_ever_active

),

segmented as (

    {{ sum_by_segment(
        'customers',
        keys=['as_of_date'],
        measures=[
            'customers',
            'window_active_days',
            'purchasers',
            'orders',
            'revenue',
            'active_days',
            'customers_lapsed',
            'historic_revenue',
        ],
        dimensions=setting('segment_dimensions'),
    ) }}

),

in_years as (

    select
        *,
        {{ days_to_years('window_active_days') }} as active_customer_years,
        {{ days_to_years('active_days') }} as lifetime_customer_years
    from segmented

),

averaged as (

    select
        *,
        {{ average_purchase_value('revenue', 'orders') }} as average_purchase_value,
        {{ average_purchase_frequency('orders', 'active_customer_years') }} as average_purchase_frequency,
        {{ average_lifespan_years('lifetime_customer_years', 'customers_lapsed') }} as average_lifespan_years
    from in_years

)

select
    dimension,
    segment,
    as_of_date,
    cast(customers as bigint) as customers,
    active_customer_years,
    cast(purchasers as bigint) as purchasers,
    cast(orders as bigint) as orders,
    cast(revenue as decimal(38, 14)) as revenue,
    lifetime_customer_years,
    cast(customers_lapsed as bigint) as customers_lapsed,
    average_purchase_value,
    average_purchase_frequency,
    average_lifespan_years,
    {{ cltv('average_purchase_value', 'average_purchase_frequency', 'average_lifespan_years') }} as cltv,
    cast(historic_revenue as decimal(38, 14)) as historic_revenue,
    {{ ratio('historic_revenue', 'customers') }} as historic_revenue_per_customer
from averaged
