with

surveys as (

    select * from {{ ref('clean_surveys') }}

),

customers as (

    select * from {{ ref('clean_customers') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

)

select

    ---------- ids
    surveys.customer_number,
    surveys.source_system as response_source,
    surveys.response_id,

    ---------- text
    surveys.survey_type,
    coalesce(customers.country, 'anonymous') as country,
    coalesce(surveys.language_code, customers.language, 'anonymous') as language,
    coalesce(customers.acquisition_channel, 'anonymous') as acquisition_channel,
    coalesce(customers.source_system, 'anonymous') as source_system,
    surveys.channel,

    ---------- numbers
    surveys.score,
    surveys.scale_min,
    surveys.scale_max,
    {{ score_share('surveys.score', 'surveys.scale_min', 'surveys.scale_max') }} as score_share,

    ---------- times
    surveys.responded_at,
    surveys.responded_on

from surveys
inner join as_of on surveys.responded_on <= as_of.as_of_date
left join customers on surveys.customer_number = customers.customer_number
