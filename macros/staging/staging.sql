{#-
    What every staged input does alike: union the enabled sources, trim, cast, and keep what can not be cast.
-#}

{# The rows of one entity of all enabled sources. Every source delivers the input contract's columns, as text. #}
{% macro union_sources(entity) -%}
    {%- for source in enabled_sources() %}
    {{ 'union all' if not loop.first }}
    select
        '{{ source }}' as source_system,
        *
    from {{ ref('stg_' ~ source ~ '__' ~ entity) }}
    {%- endfor %}
{%- endmacro %}

{# The raw text where it is no value of its type, else NULL: the gate wants to see only NULLs here. #}
{% macro uncast(text, typed) -%}
    case when {{ typed }} is null then {{ text }} end
{%- endmacro %}

{# The key of a customer: a hash of (source_system, customer_id), the same in every build; NULL without an id. #}
{% macro customer_key(source_system='source_system', customer_id='customer_id') -%}
    {#- A source's name has no colon, so the joined text is as unique as the pair. -#}
    {{ dbt.hash(source_system ~ " || ':' || " ~ customer_id) }}
{%- endmacro %}

{#
    Select: the exchange rate to the reporting currency in force on each day asked for.
    days: a relation with source_system, currency_code and rate_on, no duplicates. rates: one with source_system,
    currency_code, rate_date and rate_to_reporting. The latest rate on or before the day is used; the reporting
    currency is 1, whatever a row says. NULL where there is no rate yet.
    A range join of days and rates stays small: days are (currency, day) pairs, not orders.
#}
{% macro rates_in_force(days, rates) -%}
    select
        days.source_system,
        days.currency_code,
        days.rate_on,
        case
            when days.currency_code = '{{ var("reporting_currency") }}' then cast(1 as decimal(18, 10))
            {#- Two rows of one currency and date are a fault that stops; until then they must not double an order. #}
            else max(rates.rate_to_reporting)
        end as rate_to_reporting
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
        group by days.source_system, days.currency_code, days.rate_on
    ) as days
    left join {{ rates }} as rates
        on
            days.source_system = rates.source_system
            and days.currency_code = rates.currency_code
            and days.rate_date = rates.rate_date
    group by days.source_system, days.currency_code, days.rate_on
{%- endmacro %}
