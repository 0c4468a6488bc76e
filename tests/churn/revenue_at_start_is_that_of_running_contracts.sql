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

rate_days as (

    select distinct
        source_system,
        currency_code,
        rate_on
    from running

),

exchange_rates as (

    select * from {{ ref('clean_exchange_rates') }}

),

rates as (

    {{ rates_in_force('rate_days', 'exchange_rates') }}

),

added_up as (

    select
        running.period_grain,
        sum({{ in_reporting_currency('running.monthly_amount', 'rates.rate_to_reporting') }}) as revenue_at_start
    from running
    inner join rates
        on
            running.source_system = rates.source_system
            and running.currency_code = rates.currency_code
            and running.rate_on = rates.rate_on
    group by running.period_grain

)

select
    latest.period_grain,
    latest.start_on,
    latest.revenue_at_start,
    added_up.revenue_at_start as revenue_added_up
from latest
left join added_up on latest.period_grain = added_up.period_grain
where latest.from_latest = 1 and coalesce(latest.revenue_at_start, 0) != coalesce(added_up.revenue_at_start, 0)
