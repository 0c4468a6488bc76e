{# Schemas bear their room's own name (marts, quality, …): dashboards and queries rely on them. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
