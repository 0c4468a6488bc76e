{# The schema of a folder of models: staging, quality, marts, … #}
{% macro generate_schema_name(custom_schema_name, node=none) -%}
    {{ return(adapter.dispatch('schema_of_room', 'customer_loyalty')(custom_schema_name)) }}
{%- endmacro %}

{#
    Working and published schemas share one database. If the profile's schema is working, then staging is
    working_staging; marts and quality are the published schemas.
-#}
{% macro default__schema_of_room(room) -%}
    {{ return(target.schema ~ '_' ~ (room | trim) if room else target.schema) }}
{%- endmacro %}

{# The working schemas have a database of their own. #}
{% macro duckdb__schema_of_room(room) -%}
    {{ return((room or target.schema) | trim) }}
{%- endmacro %}
