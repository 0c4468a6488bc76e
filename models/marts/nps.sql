with

answers as (

    select *
    from {{ ref('int_answers') }}
    where survey_type = 'nps'

),

calendar as (

    select * from {{ ref('int_calendar') }}

),

in_periods as (

    select
        calendar.period_grain,
        calendar.period_start,
        calendar.period_end,
        calendar.is_complete_period,
        answers.country,
        answers.language,
        answers.acquisition_channel,
        answers.source_system,
        answers.channel,
        {{ nps_group('answers.score') }} as nps_group,
        {{ is_answer_used(
            customer_number='answers.customer_number',
            period=['calendar.period_grain', 'calendar.period_start'],
            responded_at='answers.responded_at',
            response_id='answers.response_id',
        ) }} as is_used
    from answers
    inner join calendar on answers.responded_on = calendar.calendar_on

),

counted as (

    select
        period_grain,
        period_start,
        period_end,
        is_complete_period,
        country,
        language,
        acquisition_channel,
        source_system,
        channel,
        count(*) as responses,
        sum(case when nps_group = 'promoter' then 1 else 0 end) as promoters,
        sum(case when nps_group = 'passive' then 1 else 0 end) as passives,
        sum(case when nps_group = 'detractor' then 1 else 0 end) as detractors
    from in_periods
    where is_used
    group by
        period_grain,
        period_start,
        period_end,
        is_complete_period,
        country,
        language,
        acquisition_channel,
        source_system,
        channel

),

segmented as (

    {{ sum_by_segment(
        'counted',
        keys=['period_grain', 'period_start', 'period_end', 'is_complete_period'],
        measures=['responses', 'promoters', 'passives', 'detractors'],
        dimensions=survey_dimensions(),
    ) }}

)

select
    period_grain,
    period_start,
    period_end,
    dimension,
    segment,
    is_complete_period,
    cast(responses as bigint) as responses,
    cast(promoters as bigint) as promoters,
    cast(passives as bigint) as passives,
    cast(detractors as bigint) as detractors,
    {{ percentage('promoters', 'responses') }} as promoters_pct,
    {{ percentage('passives', 'responses') }} as passives_pct,
    {{ percentage('detractors', 'responses') }} as detractors_pct,
    {{ nps('promoters', 'detractors', 'responses') }} as nps,
    {{ nps_standard_error('promoters', 'detractors', 'responses') }} as nps_standard_error,
    {{ nps_bound('promoters', 'detractors', 'responses', 'low') }} as nps_low,
    {{ nps_bound('promoters', 'detractors', 'responses', 'high') }} as nps_high,
    {{ is_reportable('responses') }} as is_reportable
from segmented
