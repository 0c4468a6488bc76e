{#-
    The sources of raw rows, whose union the staged models read.
-#}

{#
    Every source that the setting `sources` may name, with its entities. The three here deliver the contract's columns
    themselves. Any other system needs, for each of its entities, an ephemeral model
    models/staging/<system>/stg_<system>__<entity>.sql with the contract's columns as text, _source_file and
    _source_row. It runs only if the setting names the system.
#}
{% macro source_systems() -%}
    {{ return({
        'demo': entities(),
        'files': entities(),
        'tables': entities(),
    }) }}
{%- endmacro %}

{#
    Select: the rows of one entity from all enabled sources, with their origin, in the types of the input contract: see
    typed_rows. columns: the entity's columns and their types, as in the contract, which unit tests can't read.
#}
{% macro union_sources(entity, columns) -%}
    {#- Here and in what dbt parses, whatever the setting, so that the graph is always the same. -#}
    -- depends_on: {{ ref('landed_' ~ entity) }}
    {%- if not execute -%}
        {%- for system, entities in source_systems().items()
            if entity in entities and system not in ['demo', 'files', 'tables'] -%}
            {%- do ref('stg_' ~ system ~ '__' ~ entity) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set selects = [] -%}
    {%- for source in enabled_sources() if entity in source_systems()[source] -%}
        {%- do selects.append(rows_of_source(source, entity, columns)) -%}
    {%- endfor %}
    {{ selects | join('\n    union all\n    ') if selects else no_rows(columns) }}
{%- endmacro %}

{# Select: the rows of one entity in one source. #}
{% macro rows_of_source(system, entity, columns) -%}
    {%- if system == 'demo' -%}
    {{ typed_rows(
        system,
        ref('raw_' ~ entity),
        {},
        columns,
        file="'seeds/raw_" ~ entity ~ ".csv'",
        row=loaded_row_number() ~ ' + 1',
    ) }}
    {%- elif system == 'files' -%}
    {{ typed_rows(system, ref('landed_' ~ entity), delivered_types(ref('landed_' ~ entity)), columns) }}
    {%- elif system == 'tables' -%}
    {{ rows_of_table(source('tables', 'raw_' ~ entity), entity, columns) }}
    {%- else -%}
    {{ typed_rows(system, ref('stg_' ~ system ~ '__' ~ entity), {}, columns) }}
    {%- endif -%}
{%- endmacro %}

{# Select: one row per customer id of staged_customers, even if it was delivered more than once. #}
{% macro known_customers() -%}
    select
        source_system,
        customer_id,
        min(customer_number) as customer_number,
        max(signed_up_at) as signed_up_at
    from {{ ref('staged_customers') }}
    where customer_id is not null
    group by source_system, customer_id
{%- endmacro %}
