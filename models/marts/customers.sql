with

lifetimes as (

    select * from {{ ref('int_customer_lifetimes') }}

),

keys as (

    select * from {{ ref('int_customer_keys') }}

),

last_answers as (

    select * from {{ ref('int_last_answers') }}

)

select

    ---------- ids
    keys.customer_key,

    ---------- text
    lifetimes.source_system,
    lifetimes.country,
    lifetimes.language,
    lifetimes.acquisition_channel,

    ---------- numbers
    lifetimes.orders,
    cast(lifetimes.revenue as decimal(38, 14)) as revenue,
    {{ average_purchase_value('lifetimes.revenue', 'lifetimes.orders') }} as average_order_value,
    cast(lifetimes.active_days as bigint) as active_days,
    cast({{ days_between('lifetimes.last_order_on', 'lifetimes.as_of_date') }} as bigint) as days_since_last_order,
    last_answers.nps_score as last_nps_score,
    {{ nps_group('last_answers.nps_score') }} as last_nps_group,
    100 * last_answers.csat_share as last_csat_pct,

    ---------- booleans
    lifetimes.is_active,

    ---------- times
    lifetimes.signed_up_on,
    lifetimes.first_order_on,
    lifetimes.last_order_on

from lifetimes
inner join keys on lifetimes.customer_number = keys.customer_number
left join last_answers on lifetimes.customer_number = last_answers.customer_number
