{# An amount in the reporting currency, exact. #}
{% macro in_reporting_currency(amount, rate) -%}
    {{ exact_product(amount, rate) }}
{%- endmacro %}

{#
    Select: one row per row of days, with the exchange rate to the reporting currency in force on that day: the latest
    rate on or before it. The reporting currency itself is 1, even if rates has a row for it. NULL where there is no
    rate yet.
    days: a relation with source_system, currency_code and rate_on, without duplicates. rates: a relation with
    source_system, currency_code, rate_date and rate_to_reporting.
    The range join of days and rates stays small: days are (currency, day) pairs, not orders.
#}
{% macro rates_in_force(days, rates) -%}
    select
        days.source_system,
        days.currency_code,
        days.rate_on,
        cast(
            case
                when days.currency_code = '{{ setting("reporting_currency") }}' then 1
                {#- The gate stops on two rates for a date; before it, they must not double an order. #}
                else max(rates.rate_to_reporting)
            end as decimal(18, 10)
        ) as rate_to_reporting
    from (
        select
            days.source_system,
            days.currency_code,
            days.rate_on,
            max(rates.rate_date) as rate_date
        from {{ days }} as days
        left join {{ rates }} as rates
            on
                days.source_system = rates.source_system
                and days.currency_code = rates.currency_code
                and days.rate_on >= rates.rate_date
                -- the gate reports invalid rates separately
                and rates.rate_to_reporting is not null
        group by days.source_system, days.currency_code, days.rate_on
    ) as days
    left join {{ rates }} as rates
        on
            days.source_system = rates.source_system
            and days.currency_code = rates.currency_code
            and days.rate_date = rates.rate_date
    group by days.source_system, days.currency_code, days.rate_on
{%- endmacro %}
