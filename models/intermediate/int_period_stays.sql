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

runs as (

    select
        intervals.customer_key,
        calendar_from.period_grain,
        calendar_from.period_number as first_period,
        case
            when intervals.active_to >= calendar_to.close_on then calendar_to.period_number
            else calendar_to.period_number - 1
        end as last_period
    from intervals
    inner join calendar as calendar_from on intervals.active_from = calendar_from.calendar_on
    inner join calendar as calendar_to
        on
            intervals.active_to = calendar_to.calendar_on
            and calendar_from.period_grain = calendar_to.period_grain

),

-- the period of the first activity, even if it contains no close
firsts as (

    select
        customer_key,
        period_grain,
        min(first_period) as first_active_period
    from runs
    group by customer_key, period_grain

),

marked as (

    select
        *,
        case
            when
                first_period = lag(last_period) over (
                    partition by customer_key, period_grain
                    order by first_period
                ) + 1
                then 0
            else 1
        end as opens_stay
    from runs
    where first_period <= last_period

),

numbered as (

    select
        *,
        sum(opens_stay) over (
            partition by customer_key, period_grain
            order by first_period
            rows between unbounded preceding and current row
        ) as stay_number
    from marked

),

stays as (

    select
        customer_key,
        period_grain,
        stay_number,
        min(first_period) as first_period,
        max(last_period) as last_period
    from numbered
    group by customer_key, period_grain, stay_number

)

select
    firsts.customer_key,
    firsts.period_grain,
    firsts.first_active_period,
    stays.first_period,
    stays.last_period
from firsts
left join stays
    on
        firsts.customer_key = stays.customer_key
        and firsts.period_grain = stays.period_grain
