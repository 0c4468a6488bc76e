{# An amount in the reporting currency, exact. #}
{% macro in_reporting_currency(amount, rate) -%}
    {{ exact_product(amount, rate) }}
{%- endmacro %}

{#
    Select: one row per source system, currency and day, with the exchange rate to the reporting currency in force on
    that day: the latest rate on or before it. From a currency's first rate to the last day.
    rates: a relation with source_system, currency_code, rate_date and rate_to_reporting. last_day: a date expression.
    To look a rate up by its day is much faster than to find the latest rate of every order.
#}
{% macro daily_rates(rates, last_day) -%}
    with rate_spans as (
        select
            source_system,
            currency_code,
            {#- The gate stops on two rates for a date; before it, they must not double an order. #}
            max(rate_to_reporting) as rate_to_reporting,
            rate_date as first_on,
            coalesce(
                {{ add_days('lead(rate_date) over (partition by source_system, currency_code order by rate_date)', -1) }},
                {{ last_day }}
            ) as last_on
        from {{ rates }}
        {#- The gate reports invalid rates separately. #}
        where rate_to_reporting is not null and rate_date <= {{ last_day }}
        group by source_system, currency_code, rate_date
    )

    {{ each_day('rate_spans', ['source_system', 'currency_code', 'rate_to_reporting'], 'first_on', 'last_on') }}
{%- endmacro %}

{#
    Select: one row per source system and currency that has a rate, with the first day that has one. The reporting
    currency always has one.
#}
{% macro first_rates(rates) -%}
    select
        source_system,
        currency_code,
        min(rate_date) as first_rate_on
    from (
        select
            source_system,
            currency_code,
            rate_date
        from {{ rates }}
        where rate_to_reporting is not null
        {%- for source in enabled_sources() %}
        union all
        select
            '{{ source }}' as source_system,
            '{{ setting("reporting_currency") }}' as currency_code,
            cast('0001-01-01' as date) as rate_date
        {%- endfor %}
    ) as rates
    group by source_system, currency_code
{%- endmacro %}

{# The last day that rows need a rate for, by the clock of the run: what is later was left out. #}
{% macro last_rate_day() -%}
    {{ add_days('cast(' ~ run_started_at_utc() ~ ' as date)', 1) }}
{%- endmacro %}

{# A left join: to each row of a relation that of daily_rates for its currency and day; last_rate_day at the latest. #}
{% macro left_join_daily_rates(relation, day) -%}
    left join daily_rates
        on
            {{ relation }}.source_system = daily_rates.source_system
            and {{ relation }}.currency_code = daily_rates.currency_code
            and case
                when {{ relation }}.{{ day }} > {{ last_rate_day() }} then {{ last_rate_day() }}
                else {{ relation }}.{{ day }}
            end = daily_rates.day_on
{%- endmacro %}

{# The exchange rate of a currency, where a row of daily_rates has `rate`; that of the reporting currency itself is 1. #}
{% macro rate_in_force(currency_code, rate) -%}
    cast(
        case when {{ currency_code }} = '{{ setting("reporting_currency") }}' then 1 else {{ rate }} end
        as decimal(18, 10)
    )
{%- endmacro %}
