with

surveys as (

    select * from {{ ref('clean_surveys') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

),

numbered as (

    select
        surveys.customer_number,
        surveys.survey_type,
        surveys.score,
        {{ score_share('surveys.score', 'surveys.scale_min', 'surveys.scale_max') }} as score_share,
        row_number() over (
            partition by surveys.customer_number, surveys.survey_type
            order by surveys.responded_at desc, {{ in_byte_order('surveys.response_id') }} desc
        ) as from_last
    from surveys
    inner join as_of on surveys.responded_on <= as_of.as_of_date
    where surveys.customer_number is not null and surveys.survey_type in ('nps', 'csat')

)

select
    customer_number,
    cast(max(case when survey_type = 'nps' then score end) as integer) as nps_score,
    max(case when survey_type = 'csat' then score_share end) as csat_share
from numbered
where from_last = 1
group by customer_number
