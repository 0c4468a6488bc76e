-- In each grain the total counts every response up to the as-of date once. With nps_responses latest_per_customer, NPS
-- responses may be left out, but none is counted twice.
with

counted as (

    {% for mart, survey_type in {'nps': 'nps', 'csat': 'csat', 'ces': 'ces', 'reviews': 'review'}.items() %}
    {{ 'union all' if not loop.first }}
    select
        '{{ survey_type }}' as survey_type,
        period_grain,
        sum(responses) as responses
    from {{ ref(mart) }}
    where dimension = 'all'
    group by period_grain
    {% endfor %}

),

answers as (

    select
        survey_type,
        count(*) as answers
    from {{ ref('int_answers') }}
    group by survey_type

),

expected as (

    {% for grain in setting('period_grains') %}
    {{ 'union all' if not loop.first }}
    select
        '{{ grain }}' as period_grain,
        survey_type,
        answers
    from answers
    {% endfor %}

)

select
    expected.period_grain,
    expected.survey_type,
    expected.answers,
    counted.responses
from expected
left join counted
    on
        expected.period_grain = counted.period_grain
        and expected.survey_type = counted.survey_type
where
    counted.responses is null
    or counted.responses > expected.answers
    {%- if setting('nps_responses') == 'all' %}
    or counted.responses < expected.answers
    {%- else %}
    or (expected.survey_type != 'nps' and counted.responses < expected.answers)
    {%- endif %}
