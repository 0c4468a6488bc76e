{# The key of a customer: a hash of (source_system, customer_id), the same in every build; NULL without an id. #}
{% macro customer_key(source_system='source_system', customer_id='customer_id') -%}
    {#- A source's name has no colon, so the joined text is as unique as the pair. -#}
    {{ dbt.hash(source_system ~ " || ':' || " ~ customer_id) }}
{%- endmacro %}
