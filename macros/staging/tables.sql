{#-
    The source tables: raw inputs in tables of the schema raw_schema, with types of their own.
-#}

{#
    Select: the rows of a table in the columns of the input contract, as text, and their origin: the table's own
    _source_file and _source_row, which make load writes, else the table's name and no row number. An optional table
    that is missing has no rows; the models landed_<entity> have checked everything else. Only models of dbt build and
    dbt run look for the tables.
#}
{% macro contract_as_text(relation, entity) -%}
    {%- set is_looked_up = execute and flags.WHICH in ['build', 'run'] and model.resource_type == 'model' -%}
    {%- set types = {} -%}
    {%- for column in (columns_of_table(relation) if is_looked_up else []) -%}
        {%- do types.update({column.name: column.dtype}) -%}
    {%- endfor -%}
    {%- if is_looked_up and not types and is_required_input(entity) -%}
        {%- do exceptions.raise_compiler_error(relation.schema ~ '.' ~ relation.identifier ~ ': table or view not found.') -%}
    {%- endif -%}
    {%- set is_there = types or not is_looked_up -%}
    {%- set has_origin = '_source_file' in types and '_source_row' in types -%}
    {%- set called = relation.schema ~ '.' ~ relation.identifier %}
    select
        {%- for name in contract_columns(entity) %}
        {{ 'nullif(' ~ value_as_text(name, types.get(name, '')) ~ ", '')" if is_there else text_literal(none) }} as {{ name }},
        {%- endfor %}
        {{ value_as_text('_source_file', '') if has_origin else text_literal(called) }} as _source_file,
        cast({{ '_source_row' if has_origin else 'null' }} as bigint) as _source_row
    {{ 'from ' ~ relation if is_there else 'where false' }}
{%- endmacro %}
