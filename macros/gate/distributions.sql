{# A currency for examples: only three capital letters are shown, because other text may be personal. #}
{% macro shown_currency(code) -%}
    case when {{ matches(code, '[A-Z]{3}') }} then {{ code }} else 'another currency' end
{%- endmacro %}

{# A month as text, such as 2025-03. #}
{% macro month_name(month_start) -%}
    substring(cast({{ month_start }} as {{ dbt.type_string() }}), 1, 7)
{%- endmacro %}
