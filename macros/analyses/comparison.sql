{#-
    Two periods side by side: before and after. Every analysis that compares takes the parameters period_grain,
    period_start (the later period; by default the latest complete one) and compared_with (the earlier period; by
    default the one before period_start).
-#}

{# Condition: a row of the calendar is in the period that starts on `start`; without one, in any complete period. #}
{% macro is_chosen_period(start) -%}
    {{ 'period_start = ' ~ start if start else 'is_complete_period' }}
{%- endmacro %}

{#
    Select: one row with before_start and after_start; NULL where there is no such period. calendar: int_calendar,
    filtered to one period grain.
#}
{% macro compared_periods(calendar, period_start, compared_with) -%}
    select
        max(earlier.period_start) as before_start,
        max(later.period_start) as after_start
    from (
        select max(period_start) as period_start
        from {{ calendar }}
        where {{ is_chosen_period(period_start) }}
    ) as later
    left join {{ calendar }} as earlier
        on earlier.period_start {{ '= ' ~ compared_with if compared_with else '< later.period_start' }}
{%- endmacro %}

{#
    Select: one row per dimension and segment, with the columns of a period mart in both periods as <column>_before and
    <column>_after; NULL where the mart has no row. mart: a mart filtered to one period grain; periods: the result of
    compared_periods.
#}
{% macro before_and_after(mart, periods, columns) -%}
    select
        {{ mart }}.dimension,
        {{ mart }}.segment,
        {{ periods }}.before_start,
        {{ periods }}.after_start,
        {%- for column in columns %}
        max(case when {{ mart }}.period_start = {{ periods }}.before_start then {{ mart }}.{{ column }} end)
            as {{ column }}_before,
        max(case when {{ mart }}.period_start = {{ periods }}.after_start then {{ mart }}.{{ column }} end)
            as {{ column }}_after{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ mart }}
    inner join {{ periods }} on {{ mart }}.period_start in ({{ periods }}.before_start, {{ periods }}.after_start)
    group by
        {{ mart }}.dimension,
        {{ mart }}.segment,
        {{ periods }}.before_start,
        {{ periods }}.after_start
{%- endmacro %}

{#
    The body of an analysis: which segments moved the overall rate. One row per segment, and one for the total. The
    overall rate is the mean of the segments' rates, each weighted by its share of the total weight, so its change is
    the sum over segments of

        rate_effect = mean share x change of the rate
        mix_effect  = change of the share x (mean rate - mean overall rate)

    with nothing left over; means are of before and after. Shares only shift: what one segment gains, others lose. A
    mix effect is therefore measured from the mean overall rate. Kitagawa, E. M. (1955), Components of a difference
    between two rates. JASA 50, 1168-1194. A segment without weight in one period has no rate there; the other
    period's rate is used, so that a segment that appears or disappears only has a mix effect.

    rate, weight: columns of the mart. given: the analysis's parameters.
#}
{% macro what_moved(mart, rate, weight, given) -%}
with

mart as (

    select *
    from {{ mart }}
    where
        period_grain = '{{ given.period_grain }}'
        and dimension in ('all', '{{ given.dimension }}')

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

    {{ before_and_after('mart', 'periods', [rate, weight]) }}

),

whole as (

    select *
    from side_by_side
    where dimension = 'all'

),

segments as (

    select
        side_by_side.*,
        {%- for period in ['before', 'after'] %}
        {{ ratio('coalesce(side_by_side.' ~ weight ~ '_' ~ period ~ ', 0)', 'whole.' ~ weight ~ '_' ~ period) }}
            as share_{{ period }},
        {%- endfor %}
        coalesce(side_by_side.{{ rate }}_before, side_by_side.{{ rate }}_after) as filled_before,
        coalesce(side_by_side.{{ rate }}_after, side_by_side.{{ rate }}_before) as filled_after,
        (whole.{{ rate }}_before + whole.{{ rate }}_after) / 2 as whole_rate
    from side_by_side
    cross join whole
    where
        side_by_side.dimension = '{{ given.dimension }}'
        and (side_by_side.{{ weight }}_before > 0 or side_by_side.{{ weight }}_after > 0)

),

effects as (

    select
        *,
        (share_before + share_after) / 2 * (filled_after - filled_before) as rate_effect,
        (share_after - share_before) * ((filled_before + filled_after) / 2 - whole_rate) as mix_effect
    from segments

),

totals as (

    select
        sum(rate_effect) as rate_effect,
        sum(mix_effect) as mix_effect
    from effects

),

with_whole as (

    select
        dimension,
        segment,
        before_start,
        after_start,
        {{ rate }}_before as rate_before,
        {{ rate }}_after as rate_after,
        rate_effect,
        mix_effect,
        share_before,
        share_after,
        {{ weight }}_before,
        {{ weight }}_after,
        2 as place
    from effects
    union all
    select
        whole.dimension,
        whole.segment,
        whole.before_start,
        whole.after_start,
        whole.{{ rate }}_before,
        whole.{{ rate }}_after,
        totals.rate_effect,
        totals.mix_effect,
        {{ ratio('whole.' ~ weight ~ '_before', 'whole.' ~ weight ~ '_before') }} as share_before,
        {{ ratio('whole.' ~ weight ~ '_after', 'whole.' ~ weight ~ '_after') }} as share_after,
        whole.{{ weight }}_before,
        whole.{{ weight }}_after,
        1 as place
    from whole
    cross join totals

)

select
    segment,
    rate_before,
    rate_after,
    rate_effect,
    mix_effect,
    rate_effect + mix_effect as effect,
    share_before,
    share_after,
    coalesce({{ weight }}_before, 0) as {{ weight }}_before,
    coalesce({{ weight }}_after, 0) as {{ weight }}_after,
    dimension,
    before_start,
    after_start
from with_whole
order by place, abs(rate_effect + mix_effect) desc nulls last, segment
{%- endmacro %}
