{# The schema of a room: staging, quality, marts, … #}
{% macro generate_schema_name(custom_schema_name, node=none) -%}
    {{ return(adapter.dispatch('schema_of_room', 'customer_loyalty')(custom_schema_name)) }}
{%- endmacro %}

{#
    What is worked on stands beside what is published, in one database: staging is working_staging, where the profile's
    schema is working. The schemas marts and quality are the published ones.
-#}
{% macro default__schema_of_room(room) -%}
    {{ return(target.schema ~ '_' ~ (room | trim) if room else target.schema) }}
{%- endmacro %}

{# What is worked on has a database of its own. #}
{% macro duckdb__schema_of_room(room) -%}
    {{ return((room or target.schema) | trim) }}
{%- endmacro %}
