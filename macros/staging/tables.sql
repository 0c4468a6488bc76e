{#-
    Delivered relations: files, as the models landed_<entity> read them, and source tables. Their columns may have any
    type that can hold the values.
-#}

{#
    The types of the columns of a delivered relation, by name; none where it does not exist. Only models that are run
    look: anywhere else, as in unit tests, every column is taken for text.
#}
{% macro delivered_types(relation) -%}
    {%- set types = {} -%}
    {%- if is_model_run() -%}
        {%- for column in columns_of_table(relation) -%}
            {%- do types.update({column.name: column.dtype | lower}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(types) }}
{%- endmacro %}

{#
    Select: the rows of a source table, see typed_rows, and their origin: the table's own _source_file and _source_row,
    which make load writes, else the table's name and no row number. An optional table that is missing has no rows; the
    models landed_<entity> have checked everything else.
#}
{% macro rows_of_table(relation, entity, columns) -%}
    {%- set types = delivered_types(relation) -%}
    {%- set name = relation.schema ~ '.' ~ relation.identifier -%}
    {%- set file, row = text_literal(name), 'cast(null as bigint)' -%}
    {%- if '_source_file' in types and '_source_row' in types -%}
        {%- set file, row = value_as_text('_source_file', types['_source_file']), 'cast(_source_row as bigint)' -%}
    {%- endif -%}
    {%- if types or not is_model_run() -%}
        {{ return(typed_rows('tables', relation, types, columns, file, row)) }}
    {%- elif is_required_input(entity) -%}
        {%- do exceptions.raise_compiler_error(name ~ ': table or view not found.') -%}
    {%- endif -%}
    {{ return(no_rows(columns)) }}
{%- endmacro %}
