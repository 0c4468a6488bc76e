{#-
    Calendar arithmetic on dates. Every difference between warehouses stands in this folder, dispatched by adapter;
    default__ is standard SQL or what most engines share.
-#}

{# A date `days` (a number or an integer expression) after `date`. #}
{% macro add_days(date, days) -%}
    {{ return(adapter.dispatch('add_days', 'customer_loyalty')(date, days)) }}
{%- endmacro %}

{% macro default__add_days(date, days) -%}
    ({{ date }} + ({{ days }}))
{%- endmacro %}

{# A date `months` after `date`; a day that the month lacks becomes its last day. #}
{% macro add_months(date, months) -%}
    {{ return(adapter.dispatch('add_months', 'customer_loyalty')(date, months)) }}
{%- endmacro %}

{% macro default__add_months(date, months) -%}
    cast({{ date }} + interval '1' month * ({{ months }}) as date)
{%- endmacro %}

{# Whole days from `first` to `second`. #}
{% macro days_between(first, second) -%}
    {{ return(adapter.dispatch('days_between', 'customer_loyalty')(first, second)) }}
{%- endmacro %}

{% macro default__days_between(first, second) -%}
    ({{ second }} - {{ first }})
{%- endmacro %}

{# How many month boundaries lie between the dates `first` and `second`. #}
{% macro months_between(first, second) -%}
    {{ return(adapter.dispatch('months_between', 'customer_loyalty')(first, second)) }}
{%- endmacro %}

{% macro default__months_between(first, second) -%}
    {{ dbt.datediff(first, second, 'month') }}
{%- endmacro %}

{% macro duckdb__months_between(first, second) -%}
    date_diff('month', {{ first }}, {{ second }})
{%- endmacro %}

{# The first day of the week (ISO, Monday), month, quarter or year that holds `date`, as a date. #}
{% macro first_day_of(grain, date) -%}
    {{ return(adapter.dispatch('first_day_of', 'customer_loyalty')(grain, date)) }}
{%- endmacro %}

{% macro default__first_day_of(grain, date) -%}
    cast(date_trunc('{{ grain }}', {{ date }}) as date)
{%- endmacro %}

{# A set-returning select item: every day from `first` to `last`, both included. #}
{% macro each_day_from_to(first, last) -%}
    {{ return(adapter.dispatch('each_day_from_to', 'customer_loyalty')(first, last)) }}
{%- endmacro %}

{% macro default__each_day_from_to(first, last) -%}
    cast(generate_series({{ first }}, {{ last }}, interval '1' day) as date)
{%- endmacro %}

{% macro duckdb__each_day_from_to(first, last) -%}
    cast(unnest(generate_series({{ first }}, {{ last }}, interval '1' day)) as date)
{%- endmacro %}

{# The calendar date of a UTC timestamp in a time zone. #}
{% macro local_date(utc_timestamp, time_zone) -%}
    {{ return(adapter.dispatch('local_date', 'customer_loyalty')(utc_timestamp, time_zone)) }}
{%- endmacro %}

{% macro default__local_date(utc_timestamp, time_zone) -%}
    {%- if time_zone == 'UTC' -%}
    cast({{ utc_timestamp }} as date)
    {%- else -%}
    cast({{ utc_timestamp }} at time zone 'UTC' at time zone '{{ time_zone }}' as date)
    {%- endif -%}
{%- endmacro %}

{# The clock of this run, as a UTC timestamp literal: the same for every node. #}
{% macro run_started_at_utc() -%}
    cast('{{ run_started_at.astimezone(modules.pytz.utc).strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
{%- endmacro %}
