{# The place of a row in a table as it was loaded, from 1; NULL where the engine has no such notion. #}
{% macro loaded_row_number() -%}
    {{ return(adapter.dispatch('loaded_row_number', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__loaded_row_number() -%}
    cast(null as bigint)
{%- endmacro %}

{% macro duckdb__loaded_row_number() -%}
    row_number() over ()
{%- endmacro %}

{# An expression that ends the statement with `message`, a text expression. #}
{% macro fail_with(message) -%}
    {{ return(adapter.dispatch('fail_with', 'customer_loyalty')(message)) }}
{%- endmacro %}

{% macro duckdb__fail_with(message) -%}
    error({{ message }})
{%- endmacro %}
