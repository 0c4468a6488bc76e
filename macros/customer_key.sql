{# A customer's key in the marts: a hash of (source_system, customer_id), the same in every build; NULL without an id. #}
{% macro customer_key(source_system='source_system', customer_id='customer_id') -%}
    {#- Names of sources have no colon, so different pairs never give the same text. -#}
    {{ dbt.hash(source_system ~ " || ':' || " ~ customer_id) }}
{%- endmacro %}
