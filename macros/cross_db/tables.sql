{#-
    Tables that this project did not create: their columns and types, and their values as text.
-#}

{# The columns of a table or view, as a list; empty where there is none. Names are as in SQL without quotes. #}
{% macro columns_of_table(relation) -%}
    {{ return(adapter.dispatch('columns_of_table', 'customer_loyalty')(relation)) }}
{%- endmacro %}

{% macro default__columns_of_table(relation) -%}
    {%- set found = adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
    {{ return(lower_case_columns(adapter.get_columns_in_relation(found) if found is not none else [])) }}
{%- endmacro %}

{# Names in DuckDB are case-insensitive, but get_relation fails where the case differs. #}
{% macro duckdb__columns_of_table(relation) -%}
    {%- set plain = api.Relation.create(relation.database, relation.schema, relation.identifier) -%}
    {{ return(lower_case_columns(adapter.get_columns_in_relation(plain))) }}
{%- endmacro %}

{# Foreign tables, materialized views and tables that the user may not read are included: PostgreSQL reports those. #}
{% macro postgres__columns_of_table(relation) -%}
    {%- set query %}
    select
        pg_attribute.attname,
        format_type(pg_attribute.atttypid, null) as data_type
    from pg_attribute
    inner join pg_class on pg_attribute.attrelid = pg_class.oid
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where
        pg_namespace.nspname = '{{ relation.schema }}'
        and pg_class.relname = '{{ relation.identifier }}'
        and pg_class.relkind in ('r', 'v', 'm', 'f', 'p')
        and pg_attribute.attnum > 0
        and not pg_attribute.attisdropped
    order by pg_attribute.attnum
    {%- endset -%}
    {%- set columns = [] -%}
    {%- for row in run_query(query).rows -%}
        {%- do columns.append(api.Column(row[0], row[1])) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro lower_case_columns(columns) -%}
    {%- set lower = [] -%}
    {%- for column in columns -%}
        {%- do lower.append(api.Column(column.name | lower, column.dtype)) -%}
    {%- endfor -%}
    {{ return(lower) }}
{%- endmacro %}

{#
    What kind of values a type has: integer, decimal, floating, date, timestamp (without offset), instant, nanoseconds;
    text for every other type, whose values are read as text. type: the engine's name of it; none is text.
#}
{% macro kind_of_type(type) -%}
    {%- set name = (type or '').partition('(')[0] | trim -%}
    {%- for kind, names in {
        'integer': [
            'tinyint', 'smallint', 'integer', 'int', 'bigint', 'hugeint', 'utinyint', 'usmallint', 'uinteger', 'ubigint',
        ],
        'decimal': ['decimal', 'numeric'],
        'floating': ['float', 'real', 'double', 'double precision'],
        'date': ['date'],
        'timestamp': ['timestamp', 'timestamp without time zone', 'timestamp_s', 'timestamp_ms'],
        'instant': ['timestamp with time zone'],
        'nanoseconds': ['timestamp_ns'],
    }.items() if name in names -%}
        {{ return(kind) }}
    {%- endfor -%}
    {{ return('text') }}
{%- endmacro %}

{# A column's value as text that the macros in casts.sql read as the same value. type: the engine's name of it. #}
{% macro value_as_text(column, type) -%}
    {{ return(adapter.dispatch('value_as_text', 'customer_loyalty')(column, type | lower)) }}
{%- endmacro %}

{% macro default__value_as_text(column, type) -%}
    cast({{ column }} as {{ dbt.type_string() }})
{%- endmacro %}

{# A number with an exponent is written out, unless digits would be lost. #}
{% macro duckdb__value_as_text(column, type) -%}
    {%- set text = 'cast(' ~ column ~ ' as varchar)' -%}
    {%- set plain = 'try_cast(' ~ text ~ ' as decimal(38, 18))' -%}
    {%- if type in ['float', 'double'] -%}
    case when {{ text }} like '%e%' and cast({{ plain }} as {{ type }}) = {{ column }} then cast({{ plain }} as varchar) else {{ text }} end
    {%- elif type == 'timestamp with time zone' -%}
    cast({{ column }} at time zone 'UTC' as varchar)
    {%- else -%}
    {{ text }}
    {%- endif -%}
{%- endmacro %}

{# A cast to text would use the session's date style; in JSON, dates are ISO 8601. #}
{% macro postgres__value_as_text(column, type) -%}
    {%- set text = 'cast(' ~ column ~ ' as text)' -%}
    {%- if type in ['real', 'double precision'] -%}
    case when {{ text }} like '%e%' then cast(cast({{ text }} as numeric) as text) else {{ text }} end
    {%- elif type == 'timestamp with time zone' -%}
    (to_json({{ column }} at time zone 'UTC') #>> '{}')
    {%- elif type in ['date', 'timestamp without time zone'] -%}
    (to_json({{ column }}) #>> '{}')
    {%- else -%}
    {{ text }}
    {%- endif -%}
{%- endmacro %}

{# Exponents as on DuckDB, of decimals too. A timestamp is shown in the session's time zone, UTC. #}
{% macro spark__value_as_text(column, type) -%}
    {%- set text = 'cast(' ~ column ~ ' as string)' -%}
    {%- set plain = 'try_cast(' ~ text ~ ' as decimal(38, 18))' -%}
    {%- if type in ['float', 'double'] or type.startswith('decimal') -%}
    case when {{ text }} like '%E%' and cast({{ plain }} as {{ type }}) = {{ column }} then replace(format_number({{ plain }}, 18), ',', '') else {{ text }} end
    {%- else -%}
    {{ text }}
    {%- endif -%}
{%- endmacro %}
