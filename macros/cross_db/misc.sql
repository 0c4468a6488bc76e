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

{# `value` as a literal of SQL text; NULL where it is none. #}
{% macro text_literal(value) -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(value | string)) if value is not none else 'cast(null as varchar)' }}
{%- endmacro %}

{# An expression that ends the statement with `message`, a text expression. #}
{% macro fail_with(message) -%}
    {{ return(adapter.dispatch('fail_with', 'customer_loyalty')(message)) }}
{%- endmacro %}

{% macro duckdb__fail_with(message) -%}
    error({{ message }})
{%- endmacro %}

{# The complementary error function of x >= 0, to within 0.00000015. #}
{% macro erfc(x) -%}
    {{ return(adapter.dispatch('erfc', 'customer_loyalty')(x)) }}
{%- endmacro %}

{#
    Abramowitz, M. & Stegun, I. A. (1964), Handbook of Mathematical Functions, 7.1.26. The exponent has a floor because
    some engines fail where exp() falls below the least double.
#}
{% macro default__erfc(x) -%}
    {%- set t = '(1 / (1 + 0.3275911e0 * ' ~ x ~ '))' -%}
    (
        {{ t }} * (0.254829592e0 + {{ t }} * (-0.284496736e0 + {{ t }} * (
            1.421413741e0 + {{ t }} * (-1.453152027e0 + {{ t }} * 1.061405429e0)
        ))) * exp(-least({{ x }} * {{ x }}, 700))
    )
{%- endmacro %}
