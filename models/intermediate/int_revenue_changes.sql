{#- Revenue can change only for customers with a contract that starts or ends in the period: one row for each. -#}

with

contracts as (

    select * from {{ ref('int_contract_periods') }}

),

period_rates as (

    select * from {{ ref('int_period_rates') }}

),

changed_customers as (

    select
        customer_number,
        period_grain,
        begins_in as period_number
    from contracts
    union
    select
        customer_number,
        period_grain,
        ends_in as period_number
    from contracts
    where ends_in is not null

),

-- all contracts of these customers, at the rate of the period's start, or of their own start if there was none yet
valued as (

    select
        changed_customers.customer_number,
        changed_customers.period_grain,
        changed_customers.period_number,
        contracts.begins_in,
        contracts.ends_in,
        contracts.country,
        contracts.language,
        contracts.acquisition_channel,
        contracts.source_system,
        {{ in_reporting_currency(
            'contracts.monthly_amount', 'coalesce(period_rates.rate_to_reporting, contracts.rate_at_start)'
        ) }} as amount
    from changed_customers
    inner join contracts
        on
            changed_customers.customer_number = contracts.customer_number
            and changed_customers.period_grain = contracts.period_grain
    left join period_rates
        on
            changed_customers.period_grain = period_rates.period_grain
            and changed_customers.period_number = period_rates.period_number
            and contracts.source_system = period_rates.rate_source
            and contracts.currency_code = period_rates.currency_code

),

customer_amounts as (

    select
        customer_number,
        period_grain,
        period_number,
        country,
        language,
        acquisition_channel,
        source_system,
        sum(
            case
                when begins_in < period_number and coalesce(ends_in >= period_number, true) then amount
                else 0
            end
        ) as amount_at_start,
        sum(
            case
                when begins_in <= period_number and coalesce(ends_in > period_number, true) then amount
                else 0
            end
        ) as amount_at_end
    from valued
    group by
        customer_number,
        period_grain,
        period_number,
        country,
        language,
        acquisition_channel,
        source_system

),

customer_changes as (

    select
        *,
        {{ revenue_lost('amount_at_start', 'amount_at_end') }} as revenue_lost,
        {{ revenue_contraction('amount_at_start', 'amount_at_end') }} as revenue_contraction,
        {{ revenue_expansion('amount_at_start', 'amount_at_end') }} as revenue_expansion
    from customer_amounts

),

segmented as (

    {{ sum_by_segment(
        'customer_changes',
        keys=['period_grain', 'period_number'],
        measures=['revenue_lost', 'revenue_contraction', 'revenue_expansion'],
        dimensions=setting('segment_dimensions'),
    ) }}

)

select
    period_grain,
    period_number,
    dimension,
    segment,
    cast(revenue_lost as decimal(38, 14)) as revenue_lost,
    cast(revenue_contraction as decimal(38, 14)) as revenue_contraction,
    cast(revenue_expansion as decimal(38, 14)) as revenue_expansion
from segmented
