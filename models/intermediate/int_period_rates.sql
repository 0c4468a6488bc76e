with

contracts as (

    select * from {{ ref('int_contract_periods') }}

),

calendar as (

    select * from {{ ref('int_calendar') }}

),

exchange_rates as (

    select * from {{ ref('clean_exchange_rates') }}

),

-- both closes are valued at the rates of the day before the period, so that changes of rates are not churn
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
        source_system,
        currency_code
    from contracts

),

daily_rates as (

    {{ daily_rates('exchange_rates', '(select max(periods.rate_on) from periods)') }}

)

select
    periods.period_grain,
    periods.period_number,
    -- not called source_system, which is a dimension of customers
    currencies.source_system as rate_source,
    currencies.currency_code,
    {{ rate_in_force('currencies.currency_code', 'daily_rates.rate_to_reporting') }} as rate_to_reporting
from periods
cross join currencies
left join daily_rates
    on
        currencies.source_system = daily_rates.source_system
        and currencies.currency_code = daily_rates.currency_code
        and periods.rate_on = daily_rates.day_on
