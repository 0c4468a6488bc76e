{# A currency as examples may show it: three capitals, for other text may be anything. #}
{% macro shown_currency(code) -%}
    case when {{ matches(code, '[A-Z]{3}') }} then {{ code }} else 'another currency' end
{%- endmacro %}

{# A month by its name, 2025-03. #}
{% macro month_name(month_start) -%}
    substring(cast({{ month_start }} as {{ dbt.type_string() }}), 1, 7)
{%- endmacro %}
