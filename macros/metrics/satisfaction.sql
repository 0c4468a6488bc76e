{#-
    Satisfaction, effort and reviews: scores on any scale, where higher is better.
-#}

{# A score's position on its scale, from 0 to 1. #}
{% macro score_share(score, scale_min, scale_max) -%}
    {{ as_double(score ~ ' - ' ~ scale_min) }} / ({{ scale_max }} - {{ scale_min }})
{%- endmacro %}

{# Whether a score reaches a share of its scale. The decimals are exact, so 3.4 on a scale of 2 to 4 reaches 0.7. #}
{% macro reaches_share(score, scale_min, scale_max, share) -%}
    {{ score }} - {{ scale_min }}
    >= cast('{{ share }}' as decimal(20, 18)) * cast({{ scale_max }} - {{ scale_min }} as decimal(11, 0))
{%- endmacro %}

{# Whether a response is satisfied: by the scale's score in csat_satisfied_from, else by csat_satisfied_share. #}
{% macro is_satisfied(score, scale_min, scale_max) -%}
    {%- if setting('csat_satisfied_from') -%}
    case cast({{ scale_min }} as {{ dbt.type_string() }}) || '-' || cast({{ scale_max }} as {{ dbt.type_string() }})
        {%- for scale, least_score in setting('csat_satisfied_from').items() %}
        when '{{ scale }}' then {{ score }} >= {{ least_score }}
        {%- endfor %}
        else {{ reaches_share(score, scale_min, scale_max, setting('csat_satisfied_share')) }}
    end
    {%- else -%}
    {{ reaches_share(score, scale_min, scale_max, setting('csat_satisfied_share')) }}
    {%- endif -%}
{%- endmacro %}

{# Whether a response to an effort survey is easy. #}
{% macro is_easy(score, scale_min, scale_max) -%}
    {{ reaches_share(score, scale_min, scale_max, setting('ces_easy_share')) }}
{%- endmacro %}

{#
    The body of a mart of one survey type: one row per period and segment, with counts of responses.
    hits: the column of the count of hits; rate: the prefix of the percentage's columns; is_hit: the condition for one
    response.
#}
{% macro satisfaction_mart(survey_type, hits, rate, is_hit) -%}
with

answers as (

    select * from {{ ref('int_answers') }}

),

calendar as (

    select * from {{ ref('int_calendar') }}

),

counted as (

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
        count(*) as responses,
        sum(case when {{ is_hit }} then 1 else 0 end) as {{ hits }},
        -- exact: a sum of doubles depends on the order of the additions
        sum(cast(answers.score_share as decimal(38, 18))) as score_shares
    from answers
    inner join calendar on answers.responded_on = calendar.calendar_on
    where answers.survey_type = '{{ survey_type }}'
    group by
        calendar.period_grain,
        calendar.period_start,
        calendar.period_end,
        calendar.is_complete_period,
        answers.country,
        answers.language,
        answers.acquisition_channel,
        answers.source_system,
        answers.channel

),

segmented as (

    {{ sum_by_segment(
        'counted',
        keys=['period_grain', 'period_start', 'period_end', 'is_complete_period'],
        measures=['responses', hits, 'score_shares'],
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
    cast({{ hits }} as bigint) as {{ hits }},
    {{ percentage(hits, 'responses') }} as {{ rate }}_pct,
    {{ wilson_bound(hits, 'responses', 'low') }} as {{ rate }}_low_pct,
    {{ wilson_bound(hits, 'responses', 'high') }} as {{ rate }}_high_pct,
    {{ percentage('score_shares', 'responses') }} as mean_score_pct,
    {{ is_reportable('responses') }} as is_reportable
from segmented
{%- endmacro %}
