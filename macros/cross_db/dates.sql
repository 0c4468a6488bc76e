{#-
    Calendar arithmetic on dates. All differences between engines are in this folder, dispatched by adapter; default__
    is standard SQL, or dbt's own macro, which each adapter implements.
-#}

{# The date `days` (a number or an integer expression) after `date`. #}
{% macro add_days(date, days) -%}
    {{ return(adapter.dispatch('add_days', 'customer_loyalty')(date, days)) }}
{%- endmacro %}

{% macro default__add_days(date, days) -%}
    cast({{ dbt.dateadd('day', days, date) }} as date)
{%- endmacro %}

{% macro duckdb__add_days(date, days) -%}
    ({{ date }} + ({{ days }}))
{%- endmacro %}

{% macro postgres__add_days(date, days) -%}
    ({{ date }} + ({{ days }}))
{%- endmacro %}

{% macro spark__add_days(date, days) -%}
    date_add({{ date }}, cast({{ days }} as int))
{%- endmacro %}

{# The date `months` after `date`; a day that the month does not have becomes its last day. #}
{% macro add_months(date, months) -%}
    {{ return(adapter.dispatch('add_months', 'customer_loyalty')(date, months)) }}
{%- endmacro %}

{% macro default__add_months(date, months) -%}
    cast({{ dbt.dateadd('month', months, date) }} as date)
{%- endmacro %}

{% macro duckdb__add_months(date, months) -%}
    cast({{ date }} + interval '1' month * ({{ months }}) as date)
{%- endmacro %}

{% macro postgres__add_months(date, months) -%}
    cast({{ date }} + interval '1' month * ({{ months }}) as date)
{%- endmacro %}

{% macro spark__add_months(date, months) -%}
    add_months({{ date }}, {{ months }})
{%- endmacro %}

{# Whole days from `first` to `second`. #}
{% macro days_between(first, second) -%}
    {{ return(adapter.dispatch('days_between', 'customer_loyalty')(first, second)) }}
{%- endmacro %}

{% macro default__days_between(first, second) -%}
    {{ dbt.datediff(first, second, 'day') }}
{%- endmacro %}

{% macro duckdb__days_between(first, second) -%}
    ({{ second }} - {{ first }})
{%- endmacro %}

{% macro postgres__days_between(first, second) -%}
    ({{ second }} - {{ first }})
{%- endmacro %}

{% macro spark__days_between(first, second) -%}
    datediff({{ second }}, {{ first }})
{%- endmacro %}

{# The number of month boundaries between the dates `first` and `second`. #}
{% macro months_between(first, second) -%}
    {{ return(adapter.dispatch('months_between', 'customer_loyalty')(first, second)) }}
{%- endmacro %}

{% macro default__months_between(first, second) -%}
    cast(
        (extract(year from {{ second }}) - extract(year from {{ first }})) * 12
        + extract(month from {{ second }}) - extract(month from {{ first }})
        as integer
    )
{%- endmacro %}

{% macro duckdb__months_between(first, second) -%}
    date_diff('month', {{ first }}, {{ second }})
{%- endmacro %}

{# The first day of the week (ISO, Monday), month, quarter or year that contains `date`, as a date. #}
{% macro first_day_of(grain, date) -%}
    {{ return(adapter.dispatch('first_day_of', 'customer_loyalty')(grain, date)) }}
{%- endmacro %}

{% macro default__first_day_of(grain, date) -%}
    cast({{ dbt.date_trunc(grain, date) }} as date)
{%- endmacro %}

{# PostgreSQL would turn a date into an instant in the session's time zone. #}
{% macro postgres__first_day_of(grain, date) -%}
    cast(date_trunc('{{ grain }}', cast({{ date }} as timestamp)) as date)
{%- endmacro %}

{# Select: one row per row of a relation and day_on, for every day from its `first` to its `last`, both included. #}
{% macro each_day(relation, columns, first, last) -%}
    {{ return(adapter.dispatch('each_day', 'customer_loyalty')(relation, columns, first, last)) }}
{%- endmacro %}

{# At most 200 years: dbt generates the numbers as rows. #}
{% macro default__each_day(relation, columns, first, last) -%}
    select
        {%- for column in columns %}
        {{ relation }}.{{ column }},
        {%- endfor %}
        {{ add_days(relation ~ '.' ~ first, 'numbers.generated_number - 1') }} as day_on
    from {{ relation }}
    inner join ({{ dbt.generate_series(73050) }}) as numbers
        on {{ add_days(relation ~ '.' ~ first, 'numbers.generated_number - 1') }} <= {{ relation }}.{{ last }}
{%- endmacro %}

{% macro duckdb__each_day(relation, columns, first, last) -%}
    {{ days_by_function(relation, columns, 'unnest(generate_series(' ~ first ~ ', ' ~ last ~ ", interval '1' day))") }}
{%- endmacro %}

{# PostgreSQL would turn dates into instants in the session's time zone. #}
{% macro postgres__each_day(relation, columns, first, last) -%}
    {{ days_by_function(
        relation,
        columns,
        'generate_series(cast(' ~ first ~ ' as timestamp), cast(' ~ last ~ " as timestamp), interval '1' day)",
    ) }}
{%- endmacro %}

{# Without the condition, sequence() would count down where the first day is after the last. #}
{% macro spark__each_day(relation, columns, first, last) -%}
    {{ days_by_function(
        relation,
        columns,
        'explode(case when ' ~ first ~ ' <= ' ~ last ~ ' then sequence(' ~ first ~ ', ' ~ last ~ ", interval '1' day) end)",
    ) }}
{%- endmacro %}

{# The body of each_day where a function in the select list returns rows. #}
{% macro days_by_function(relation, columns, days) -%}
    select
        {%- for column in columns + ['day_on'] %}
        {{ 'cast(day_at as date) as day_on' if column == 'day_on' else column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            {%- for column in columns %}
            {{ column }},
            {%- endfor %}
            {{ days }} as day_at
        from {{ relation }}
    ) as days
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

{# Spark's timestamp is an instant, shown in the session's zone, UTC. #}
{% macro spark__local_date(utc_timestamp, time_zone) -%}
    cast(from_utc_timestamp({{ utc_timestamp }}, '{{ time_zone }}') as date)
{%- endmacro %}

{# The start of this run, as a UTC timestamp literal: the same in every node. #}
{% macro run_started_at_utc() -%}
    cast('{{ run_started_at.astimezone(modules.pytz.utc).strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
{%- endmacro %}
