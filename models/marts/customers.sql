with

lifetimes as (

    select * from {{ ref('int_customer_lifetimes') }}

),

answers as (

    select * from {{ ref('int_answers') }}

),

last_answers as (

    select
        customer_key,
        survey_type,
        score,
        score_share,
        row_number() over (
            partition by customer_key, survey_type
            order by responded_at desc, {{ in_byte_order('response_id') }} desc
        ) as from_last
    from answers
    where customer_key is not null and survey_type in ('nps', 'csat')

),

last_nps as (

    select *
    from last_answers
    where survey_type = 'nps' and from_last = 1

),

last_csat as (

    select *
    from last_answers
    where survey_type = 'csat' and from_last = 1

)

select

    ---------- ids
    lifetimes.customer_key,

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
    cast(last_nps.score as integer) as last_nps_score,
    {{ nps_group('last_nps.score') }} as last_nps_group,
    100 * last_csat.score_share as last_csat_pct,

    ---------- booleans
    lifetimes.is_active,

    ---------- times
    lifetimes.signed_up_on,
    lifetimes.first_order_on,
    lifetimes.last_order_on

from lifetimes
left join last_nps on lifetimes.customer_key = last_nps.customer_key
left join last_csat on lifetimes.customer_key = last_csat.customer_key
