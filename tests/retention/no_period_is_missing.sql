-- Every segment of every dimension has each period of the total, from the period of the first active day to the period
-- of the as-of date. The test of S covers that no period in between is missing.
with

retention as (

    select * from {{ ref('retention') }}

),

counted as (

    select
        period_grain,
        dimension,
        segment,
        count(*) as periods,
        min(period_start) as first_start,
        min(period_end) as first_end,
        max(period_start) as last_start,
        max(period_end) as last_end
    from retention
    group by period_grain, dimension, segment

),

active as (

    select min(active_from) as first_active_on
    from {{ ref('int_activity_intervals') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

),

-- one row per segment and grain, even if it has no rows in the mart
expected as (

    {% for grain in setting('period_grains') %}
    {{ 'union all' if not loop.first }}
    select
        '{{ grain }}' as period_grain,
        cltv.dimension,
        cltv.segment
    from {{ ref('cltv') }} as cltv
    {% endfor %}

)

select
    expected.period_grain,
    expected.dimension,
    expected.segment,
    counted.periods,
    counted.first_start,
    counted.last_end
from expected
cross join active
cross join as_of
left join counted
    on
        expected.period_grain = counted.period_grain
        and expected.dimension = counted.dimension
        and expected.segment = counted.segment
left join counted as whole on expected.period_grain = whole.period_grain and whole.dimension = 'all'
where
    counted.periods is distinct from whole.periods
    or not coalesce(active.first_active_on between counted.first_start and counted.first_end, false)
    or not coalesce(as_of.as_of_date between counted.last_start and counted.last_end, false)
