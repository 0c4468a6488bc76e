with

stays as (

    select * from {{ ref('int_period_stays') }}

),

customers as (

    select * from {{ ref('clean_customers') }}

),

calendar as (

    select * from {{ ref('int_calendar') }}

),

-- a customer arrives in the first period of a stay, and is lost in the period after its last
arrivals as (

    select
        customer_number,
        period_grain,
        first_period as period_number,
        case when first_period = first_active_period then 1 else 0 end as customers_new,
        case when first_period > first_active_period then 1 else 0 end as customers_reactivated,
        0 as customers_lost,
        0 as customers_passing
    from stays
    where first_period is not null

),

departures as (

    select
        customer_number,
        period_grain,
        last_period + 1 as period_number,
        0 as customers_new,
        0 as customers_reactivated,
        1 as customers_lost,
        0 as customers_passing
    from stays
    where last_period is not null

),

-- the customer's first activity, which ended before the period closed
passing as (

    select
        customer_number,
        period_grain,
        first_active_period as period_number,
        0 as customers_new,
        0 as customers_reactivated,
        0 as customers_lost,
        1 as customers_passing
    from stays
    group by customer_number, period_grain, first_active_period
    having min(coalesce(first_period, first_active_period + 1)) > first_active_period

),

events as (

    select * from arrivals
    union all
    select * from departures
    union all
    select * from passing

),

counted as (

    select
        events.period_grain,
        events.period_number,
        customers.country,
        customers.language,
        customers.acquisition_channel,
        customers.source_system,
        sum(events.customers_new) as customers_new,
        sum(events.customers_reactivated) as customers_reactivated,
        sum(events.customers_lost) as customers_lost,
        sum(events.customers_passing) as customers_passing
    from events
    inner join customers on events.customer_number = customers.customer_number
    group by
        events.period_grain,
        events.period_number,
        customers.country,
        customers.language,
        customers.acquisition_channel,
        customers.source_system

),

segmented as (

    {{ sum_by_segment(
        'counted',
        keys=['period_grain', 'period_number'],
        measures=['customers_new', 'customers_reactivated', 'customers_lost', 'customers_passing'],
        dimensions=setting('segment_dimensions'),
    ) }}

),

-- every segment with a customer who was ever active
segments as (

    select distinct
        dimension,
        segment
    from segmented

),

first_periods as (

    select
        period_grain,
        min(first_active_period) as first_period
    from stays
    group by period_grain

),

-- one row per period: each closes on one day
periods as (

    select
        calendar.period_grain,
        calendar.period_number,
        calendar.period_start,
        calendar.period_end,
        calendar.close_on,
        calendar.is_complete_period,
        calendar.is_burn_in_period
    from calendar
    inner join first_periods
        on
            calendar.period_grain = first_periods.period_grain
            and calendar.period_number >= first_periods.first_period
    where calendar.calendar_on = calendar.close_on

),

filled as (

    select
        periods.*,
        segments.dimension,
        segments.segment,
        coalesce(segmented.customers_new, 0) as customers_new,
        coalesce(segmented.customers_reactivated, 0) as customers_reactivated,
        coalesce(segmented.customers_lost, 0) as customers_lost,
        coalesce(segmented.customers_passing, 0) as customers_passing
    from periods
    cross join segments
    left join segmented
        on
            periods.period_grain = segmented.period_grain
            and periods.period_number = segmented.period_number
            and segments.dimension = segmented.dimension
            and segments.segment = segmented.segment

),

-- customers at a close: all who ever arrived minus all who were ever lost
closed as (

    select
        *,
        sum(customers_new + customers_reactivated - customers_lost) over (
            partition by period_grain, dimension, segment
            order by period_number
            rows between unbounded preceding and current row
        ) as customers_at_end
    from filled

)

select
    period_grain,
    period_number,
    period_start,
    period_end,
    close_on,
    dimension,
    segment,
    is_complete_period,
    is_burn_in_period,
    cast(customers_at_end - customers_new - customers_reactivated + customers_lost as bigint) as customers_at_start,
    cast(customers_at_end as bigint) as customers_at_end,
    cast(customers_new as bigint) as customers_new,
    cast(customers_reactivated as bigint) as customers_reactivated,
    cast(customers_lost as bigint) as customers_lost,
    cast(customers_passing as bigint) as customers_passing
from closed
