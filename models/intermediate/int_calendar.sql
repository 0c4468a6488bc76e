{#- One row per day and grain, from the first day with data to the as-of date. -#}

with

activity as (

    select * from {{ ref('int_activity_intervals') }}

),

answers as (

    select * from {{ ref('int_answers') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

),

first_days as (

    select min(active_from) as first_on from activity
    union all
    select min(responded_on) as first_on from answers

),

bounds as (

    select
        as_of.as_of_date,
        as_of.first_order_on,
        min(first_days.first_on) as first_on
    from as_of
    cross join first_days
    group by as_of.as_of_date, as_of.first_order_on

),

days as (

    {{ each_day('bounds', ['as_of_date', 'first_order_on'], 'first_on', 'as_of_date') }}

),

starts as (

    {%- for grain in setting('period_grains') %}
    {{ 'union all' if not loop.first }}
    select
        '{{ grain }}' as period_grain,
        day_on as calendar_on,
        as_of_date,
        first_order_on,
        {{ period_start(grain, 'day_on') }} as period_start
    from days
    {%- endfor %}

),

periods as (

    select
        *,
        case period_grain
            {%- for grain in setting('period_grains') %}
            when '{{ grain }}' then {{ period_end(grain, 'period_start') }}
            {%- endfor %}
        end as period_end
    from starts

)

select
    period_grain,
    calendar_on,
    dense_rank() over (partition by period_grain order by period_start) as period_number,
    period_start,
    period_end,
    least(period_end, as_of_date) as close_on,
    period_end <= as_of_date as is_complete_period,
    {{ is_burn_in('period_start', 'first_order_on') }} as is_burn_in_period
from periods
