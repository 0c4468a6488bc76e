{#-
    A customer is active at a period's close if an activity interval contains that day. Instead of testing every
    customer at every close, each interval becomes the run of closes that it contains. Consecutive runs are one stay: a
    customer who lapses and returns between two closes is active at both.
-#}

with

intervals as (

    select * from {{ ref('int_activity_intervals') }}

),

calendar as (

    select * from {{ ref('int_calendar') }}

),

-- a run without a close has no last period, but its first one counts as the first activity
runs as (

    select
        intervals.customer_number,
        calendar_from.period_grain,
        calendar_from.period_number as first_period,
        case
            when intervals.active_to >= calendar_to.close_on then calendar_to.period_number
            when calendar_from.period_number < calendar_to.period_number then calendar_to.period_number - 1
        end as last_period
    from intervals
    inner join calendar as calendar_from on intervals.active_from = calendar_from.calendar_on
    inner join calendar as calendar_to
        on
            intervals.active_to = calendar_to.calendar_on
            and calendar_from.period_grain = calendar_to.period_grain

),

-- the last period of the runs before each, and of all
looked_back as (

    select
        customer_number,
        period_grain,
        first_period,
        last_period,
        max(last_period) over (
            partition by customer_number, period_grain
            order by first_period, last_period
            rows between unbounded preceding and 1 preceding
        ) as last_period_before,
        max(last_period) over (
            partition by customer_number, period_grain
            order by first_period, last_period
            rows between unbounded preceding and unbounded following
        ) as last_period_of_all,
        min(first_period) over (
            partition by customer_number, period_grain
            order by first_period, last_period
            rows between unbounded preceding and unbounded following
        ) as first_active_period
    from runs

),

openings as (

    select *
    from looked_back
    where last_period is not null and coalesce(first_period > last_period_before + 1, true)

)

select
    customer_number,
    period_grain,
    first_active_period,
    first_period,
    -- up to the last period before the next stay
    coalesce(
        lead(last_period_before) over (partition by customer_number, period_grain order by first_period),
        last_period_of_all
    ) as last_period
from openings
union all
-- customers who were never active at a close
select distinct
    customer_number,
    period_grain,
    first_active_period,
    cast(null as bigint) as first_period,
    cast(null as bigint) as last_period
from looked_back
where last_period_of_all is null
