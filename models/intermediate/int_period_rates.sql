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

)

select
    periods.period_grain,
    periods.period_number,
    -- not called source_system, which is a dimension of customers
    rates_in_force.source_system as rate_source,
    rates_in_force.currency_code,
    rates_in_force.rate_to_reporting
from periods
inner join rates_in_force on periods.rate_on = rates_in_force.rate_on
