{#-
    The revenue under contract at a period's start is a running sum per currency: contracts that started minus those
    that ended, valued at the rate of the day before the period. A contract needs no row for every period that it runs.
-#}

with

contracts as (

    select
        *,
        source_system as rate_source
    from {{ ref('int_contract_periods') }}

),

period_rates as (

    select * from {{ ref('int_period_rates') }}

),

-- a contract counts at the start of each period after the one it starts in, up to the one it ends in
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
        dimensions=setting('segment_dimensions'),
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

amounts as (

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

)

select
    period_grain,
    period_number,
    dimension,
    segment,
    cast(
        sum(
            case
                -- before a currency's first rate there are no contracts in it
                when amount_at_start = 0 then 0
                else {{ in_reporting_currency('amount_at_start', 'rate_to_reporting') }}
            end
        ) as decimal(38, 14)
    ) as revenue_at_start
from amounts
group by period_grain, period_number, dimension, segment
