/*
Did the Net Promoter Score change between two periods, or may the difference be chance?

One row per segment of a dimension. A z-test of the difference between two independent samples. Each period gets the
same 3 additional responses as the mart's interval (so z is not exactly nps_difference / standard_error), because the
plain test treats a few equal responses as certain and reports false differences.

verdict
    higher, lower          p_value is below significance_level
    no clear difference    it is not: the difference may be chance. This does not prove that nothing changed; the
                           interval shows how large a change would be compatible with the responses
    too few answers        fewer responses than the setting minimum_responses in one of the periods
    no answers             no responses in one of the periods: the comparison is NULL

Many segments: at 0.05, one in twenty would be called different by chance. significance_level is therefore 0.05 divided
by the number of segments tested (Bonferroni). The interval is a 95 % interval of each segment on its own, so use it
only for a segment chosen in advance. Trying many periods or dimensions until one differs is the same trap, which no
query can detect.

The samples are independent if no customer responds twice. Repeated responses violate this in two ways. Customers who
respond in both periods tend to give similar scores: the true error of the difference is smaller, and the test misses
changes. Customers who respond several times within a period count several times: the true error is larger, and the test
reports false changes. The setting nps_responses: latest_per_customer prevents the second.

Parameters: period_grain, period_start (after), compared_with (before), dimension. See docs/analyses.md.
*/
{{ config(group='metrics') }}
{%- set given = parameters({
    'period_grain': ['one of', setting('period_grains')],
    'period_start': ['day', none],
    'compared_with': ['day', none],
    'dimension': ['one of', ['all'] + survey_dimensions()],
}) %}
{%- set before = with_added_answers('promoters_before', 'detractors_before', 'responses_before') %}
{%- set after = with_added_answers('promoters_after', 'detractors_after', 'responses_after') %}

with

nps as (

    select *
    from {{ ref('nps') }}
    where
        period_grain = '{{ given.period_grain }}'
        and dimension = '{{ given.dimension }}'

),

calendar as (

    select *
    from {{ ref('int_calendar') }}
    where period_grain = '{{ given.period_grain }}'

),

periods as (

    {{ compared_periods('calendar', given.period_start, given.compared_with) }}

),

side_by_side as (

    {{ before_and_after('nps', 'periods', ['nps', 'promoters', 'detractors', 'responses']) }}

),

estimated as (

    select
        *,
        {{ nps(*after) }} - {{ nps(*before) }} as adjusted_difference,
        sqrt(
            power({{ nps_standard_error(*before) }}, 2)
            + power({{ nps_standard_error(*after) }}, 2)
        ) as standard_error,
        case
            when responses_before is null or responses_after is null then 'no answers'
            when not ({{ is_reportable('responses_before') }} and {{ is_reportable('responses_after') }})
                then 'too few answers'
        end as not_tested_because
    from side_by_side

),

tested as (

    select
        *,
        adjusted_difference / standard_error as z,
        {{ two_sided_p_value('adjusted_difference / standard_error') }} as p_value,
        {{ ratio('0.05', 'count(case when not_tested_because is null then 1 end) over ()') }} as significance_level
    from estimated

)

select
    segment,
    nps_before,
    nps_after,
    nps_after - nps_before as nps_difference,
    p_value,
    case
        when not_tested_because is not null then not_tested_because
        when p_value >= significance_level then 'no clear difference'
        when z > 0 then 'higher'
        else 'lower'
    end as verdict,
    significance_level,
    z,
    standard_error,
    case
        when z is not null then greatest(adjusted_difference - {{ z_score() }} * standard_error, -200)
    end as difference_low,
    case
        when z is not null then least(adjusted_difference + {{ z_score() }} * standard_error, 200)
    end as difference_high,
    coalesce(responses_before, 0) as responses_before,
    coalesce(responses_after, 0) as responses_after,
    dimension,
    before_start,
    after_start
from tested
order by
    case when not_tested_because is null then 1 else 2 end,
    p_value nulls last,
    segment
