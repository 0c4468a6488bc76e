{#-
    Money under contract between two closes. What is there at the start is a running sum of contracts that began less
    those that ended, per currency, valued at the rate of the day before the period; only customers with a contract
    that begins or ends in the period are looked at one by one.
-#}

with

subscriptions as (

    select * from {{ ref('int_subscriptions') }}

),

customers as (

    select * from {{ ref('input_customers') }}

),

calendar as (

    select * from {{ ref('int_calendar') }}

),

exchange_rates as (

    select * from {{ ref('input_exchange_rates') }}

),

contracts as (

    select
        subscriptions.customer_key,
        subscriptions.source_system as rate_source,
        subscriptions.currency_code,
        subscriptions.monthly_amount,
        subscriptions.rate_at_start,
        calendar_from.period_grain,
        calendar_from.period_number as begins_in,
        -- an end after the as-of date is not in the calendar: still running
        calendar_to.period_number as ends_in,
        customers.country,
        customers.language,
        customers.acquisition_channel,
        customers.source_system
    from subscriptions
    inner join customers on subscriptions.customer_key = customers.customer_key
    inner join calendar as calendar_from on subscriptions.started_on = calendar_from.calendar_on
    left join calendar as calendar_to
        on
            subscriptions.ended_on = calendar_to.calendar_on
            and calendar_from.period_grain = calendar_to.period_grain

),

periods as (

    select
        period_grain,
        period_number,
        {{ add_days('period_start', -1) }} as rate_on
    from calendar
    where calendar_on = close_on

),

currencies as (

    select distinct
        rate_source as source_system,
        currency_code
    from contracts

),

rate_days as (

    select distinct
        currencies.source_system,
        currencies.currency_code,
        periods.rate_on
    from currencies
    cross join periods

),

rates_in_force as (

    {{ rates_in_force('rate_days', 'exchange_rates') }}

),

period_rates as (

    select
        periods.period_grain,
        periods.period_number,
        rates_in_force.source_system as rate_source,
        rates_in_force.currency_code,
        rates_in_force.rate_to_reporting
    from periods
    inner join rates_in_force on periods.rate_on = rates_in_force.rate_on

),

-- a contract is there at the start of each period after the one it begins in, up to the one it ends in
begun_and_ended as (

    select
        *,
        begins_in + 1 as period_number,
        monthly_amount as amount_change
    from contracts
    union all
    select
        *,
        ends_in + 1 as period_number,
        -monthly_amount as amount_change
    from contracts
    where ends_in is not null

),

amount_changes as (

    {{ sum_by_segment(
        'begun_and_ended',
        keys=['period_grain', 'period_number', 'rate_source', 'currency_code'],
        measures=['amount_change'],
        dimensions=var('segment_dimensions'),
    ) }}

),

money_segments as (

    select distinct
        period_grain,
        dimension,
        segment,
        rate_source,
        currency_code
    from amount_changes

),

amounts_at_start as (

    select
        period_rates.period_grain,
        period_rates.period_number,
        money_segments.dimension,
        money_segments.segment,
        period_rates.rate_to_reporting,
        sum(coalesce(amount_changes.amount_change, 0)) over (
            partition by
                period_rates.period_grain,
                money_segments.dimension,
                money_segments.segment,
                period_rates.rate_source,
                period_rates.currency_code
            order by period_rates.period_number
            rows between unbounded preceding and current row
        ) as amount_at_start
    from period_rates
    inner join money_segments
        on
            period_rates.period_grain = money_segments.period_grain
            and period_rates.rate_source = money_segments.rate_source
            and period_rates.currency_code = money_segments.currency_code
    left join amount_changes
        on
            period_rates.period_grain = amount_changes.period_grain
            and period_rates.period_number = amount_changes.period_number
            and period_rates.rate_source = amount_changes.rate_source
            and period_rates.currency_code = amount_changes.currency_code
            and money_segments.dimension = amount_changes.dimension
            and money_segments.segment = amount_changes.segment

),

at_start as (

    select
        period_grain,
        period_number,
        dimension,
        segment,
        -- before a currency's first rate there is no contract in it
        sum(
            case
                when amount_at_start = 0 then 0
                else {{ reporting_amount('amount_at_start', 'rate_to_reporting') }}
            end
        ) as revenue_at_start
    from amounts_at_start
    group by period_grain, period_number, dimension, segment

),

changed_customers as (

    select
        customer_key,
        period_grain,
        begins_in as period_number
    from contracts
    union
    select
        customer_key,
        period_grain,
        ends_in as period_number
    from contracts
    where ends_in is not null

),

customer_amounts as (

    select
        changed_customers.customer_key,
        changed_customers.period_grain,
        changed_customers.period_number,
        contracts.country,
        contracts.language,
        contracts.acquisition_channel,
        contracts.source_system,
        sum(
            case
                when
                    contracts.begins_in < changed_customers.period_number
                    and coalesce(contracts.ends_in >= changed_customers.period_number, true)
                    then {{ reporting_amount(
                        'contracts.monthly_amount',
                        'coalesce(period_rates.rate_to_reporting, contracts.rate_at_start)',
                    ) }}
                else 0
            end
        ) as amount_at_start,
        sum(
            case
                when
                    contracts.begins_in <= changed_customers.period_number
                    and coalesce(contracts.ends_in > changed_customers.period_number, true)
                    then {{ reporting_amount(
                        'contracts.monthly_amount',
                        'coalesce(period_rates.rate_to_reporting, contracts.rate_at_start)',
                    ) }}
                else 0
            end
        ) as amount_at_end
    from changed_customers
    inner join contracts
        on
            changed_customers.customer_key = contracts.customer_key
            and changed_customers.period_grain = contracts.period_grain
    left join period_rates
        on
            changed_customers.period_grain = period_rates.period_grain
            and changed_customers.period_number = period_rates.period_number
            and contracts.rate_source = period_rates.rate_source
            and contracts.currency_code = period_rates.currency_code
    group by
        changed_customers.customer_key,
        changed_customers.period_grain,
        changed_customers.period_number,
        contracts.country,
        contracts.language,
        contracts.acquisition_channel,
        contracts.source_system

),

customer_changes as (

    select
        *,
        {{ revenue_lost('amount_at_start', 'amount_at_end') }} as revenue_lost,
        {{ revenue_contraction('amount_at_start', 'amount_at_end') }} as revenue_contraction,
        {{ revenue_expansion('amount_at_start', 'amount_at_end') }} as revenue_expansion
    from customer_amounts

),

changes as (

    {{ sum_by_segment(
        'customer_changes',
        keys=['period_grain', 'period_number'],
        measures=['revenue_lost', 'revenue_contraction', 'revenue_expansion'],
        dimensions=var('segment_dimensions'),
    ) }}

)

select
    at_start.period_grain,
    at_start.period_number,
    at_start.dimension,
    at_start.segment,
    at_start.revenue_at_start,
    coalesce(changes.revenue_lost, 0) as revenue_lost,
    coalesce(changes.revenue_contraction, 0) as revenue_contraction,
    coalesce(changes.revenue_expansion, 0) as revenue_expansion
from at_start
left join changes
    on
        at_start.period_grain = changes.period_grain
        and at_start.period_number = changes.period_number
        and at_start.dimension = changes.dimension
        and at_start.segment = changes.segment
