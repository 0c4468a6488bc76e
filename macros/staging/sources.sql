{#-
    The sources of raw rows, and what all staged models have in common: they union the enabled sources, trim, cast, and
    keep the text that can't be cast.
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

{# Select: the rows of one entity from all enabled sources, in the contract's columns, as text, with their origin. #}
{% macro union_sources(entity) -%}
    {#- Here and in what dbt parses, whatever the setting, so that the graph is always the same. -#}
    -- depends_on: {{ ref('landed_' ~ entity) }}
    {%- if not execute -%}
        {%- for system, entities in source_systems().items()
            if entity in entities and system not in ['demo', 'files', 'tables'] -%}
            {%- do ref('stg_' ~ system ~ '__' ~ entity) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set sources = [] -%}
    {%- for source in enabled_sources() if entity in source_systems()[source] -%}
        {%- do sources.append(source) -%}
    {%- endfor -%}
    {%- for source in sources %}
    {{ 'union all' if not loop.first }}
    select
        '{{ source }}' as source_system,
        {%- for column in contract_columns(entity) %}
        {{ column }},
        {%- else %}
        {#- A unit test has only one source, and no graph to read the contract from. #}
        *
        {%- endfor %}
        {%- if contract_columns(entity) %}
        _source_file,
        _source_row
        {%- endif %}
    from {{ rows_of_source(source, entity) }}
    {%- else %}
    {{ no_rows(entity) }}
    {%- endfor %}
{%- endmacro %}

{# From: the rows of one entity in one source. #}
{% macro rows_of_source(system, entity) -%}
    {%- if system == 'demo' -%}
    (
        select
            *,
            'seeds/raw_{{ entity }}.csv' as _source_file,
            {{ loaded_row_number() }} + 1 as _source_row
        from {{ ref('raw_' ~ entity) }}
    ) as {{ system }}
    {%- elif system == 'files' -%}
    {{ ref('landed_' ~ entity) }}
    {%- elif system == 'tables' -%}
    ({{ contract_as_text(source('tables', 'raw_' ~ entity), entity) }}) as {{ system }}
    {%- else -%}
    {{ ref('stg_' ~ system ~ '__' ~ entity) }}
    {%- endif -%}
{%- endmacro %}

{# Select: no rows, for an entity that none of the enabled sources has. #}
{% macro no_rows(entity) -%}
    select
        {{ text_literal(none) }} as source_system,
        {%- for column in contract_columns(entity) %}
        {{ text_literal(none) }} as {{ column }},
        {%- endfor %}
        {{ text_literal(none) }} as _source_file,
        cast(null as bigint) as _source_row
    where false
{%- endmacro %}

{# The raw text where it is not a value of its type, else NULL, which the gate expects. #}
{% macro uncast(text, typed) -%}
    case when {{ typed }} is null then {{ text }} end
{%- endmacro %}

{# Select: one row per customer id of staged_customers, even if it was delivered more than once. #}
{% macro known_customers() -%}
    select
        source_system,
        customer_id,
        max(signed_up_at) as signed_up_at
    from {{ ref('staged_customers') }}
    where customer_id is not null
    group by source_system, customer_id
{%- endmacro %}
