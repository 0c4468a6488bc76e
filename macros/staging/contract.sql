{#-
    The input contract for SQL: models/raw/_raw__contract.yml, which dbt has in its graph.
-#}

{#
    The entities of the contract; an input is called raw_<entity>. They are repeated here because dbt renders refs
    before it has a graph.
#}
{% macro entities() -%}
    {{ return(['customers', 'orders', 'surveys', 'exchange_rates', 'subscriptions']) }}
{%- endmacro %}

{# The inputs of the contract. #}
{% macro contract_inputs() -%}
    {%- set inputs = [] -%}
    {%- for entity in entities() -%}
        {%- do inputs.append('raw_' ~ entity) -%}
    {%- endfor -%}
    {{ return(inputs) }}
{%- endmacro %}

{# The contract of an input; without columns while dbt parses, and in unit tests, where there is no graph. #}
{% macro contract(entity) -%}
    {{ return((graph.sources or {}).get('source.customer_loyalty.tables.raw_' ~ entity, {'columns': {}, 'config': {'meta': {}}})) }}
{%- endmacro %}

{# The columns of an input with a mark in the contract: key (together unique within a source system) or personal. #}
{% macro columns_with(entity, mark) -%}
    {%- set marked = [] -%}
    {%- for name, column in contract(entity).columns.items() if column.config.meta.get(mark) -%}
        {%- do marked.append(name) -%}
    {%- endfor -%}
    {{ return(marked) }}
{%- endmacro %}

{# Whether an input is required. #}
{% macro is_required_input(entity) -%}
    {{ return(contract(entity).config.meta.get('required', false)) }}
{%- endmacro %}
