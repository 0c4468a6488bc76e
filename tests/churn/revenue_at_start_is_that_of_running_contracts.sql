-- Recalculates the revenue at the start of the latest period of each grain: the contracts running on the day before it,
-- at that day's rate. The mart's amount is a running sum since the first period, so an error in any period shows here.
with

latest as (

    select
        period_grain,
        revenue_at_start,
        {{ add_days('period_start', -1) }} as start_on,
        row_number() over (partition by period_grain order by period_start desc) as from_latest
    from {{ ref('churn') }}
    where dimension = 'all'

),

running as (

    select
        latest.period_grain,
        subscriptions.source_system,
        subscriptions.currency_code,
        latest.start_on as rate_on,
        sum(subscriptions.monthly_amount) as monthly_amount
    from latest
    inner join {{ ref('int_subscriptions') }} as subscriptions
        on
            latest.start_on >= subscriptions.started_on
            and (subscriptions.ended_on is null or latest.start_on < subscriptions.ended_on)
    where latest.from_latest = 1
    group by latest.period_grain, subscriptions.source_system, subscriptions.currency_code, latest.start_on

),

-- the latest rate first, found without the macros that the models use
with_rates as (

    select
        running.period_grain,
        running.monthly_amount,
        {{ rate_in_force('running.currency_code', 'exchange_rates.rate_to_reporting') }} as rate_to_reporting,
        row_number() over (
            partition by running.period_grain, running.source_system, running.currency_code
            order by exchange_rates.rate_date desc
        ) as from_latest
    from running
    left join {{ ref('clean_exchange_rates') }} as exchange_rates
        on
            running.source_system = exchange_rates.source_system
            and running.currency_code = exchange_rates.currency_code
            and running.rate_on >= exchange_rates.rate_date

),

added_up as (

    select
        period_grain,
        sum({{ in_reporting_currency('monthly_amount', 'rate_to_reporting') }}) as revenue_at_start
    from with_rates
    where from_latest = 1
    group by period_grain

)

select
    latest.period_grain,
    latest.start_on,
    latest.revenue_at_start,
    added_up.revenue_at_start as revenue_added_up
from latest
left join added_up on latest.period_grain = added_up.period_grain
where latest.from_latest = 1 and coalesce(latest.revenue_at_start, 0) != coalesce(added_up.revenue_at_start, 0)
