{#-
    The source tables: raw inputs in tables of the schema raw_schema, with types of their own.
-#}

{#
    Select: the rows of a table in the columns of the input contract, as text, and their origin: the table's own
    _source_file and _source_row, which make load writes, else the table's name and no row number. An optional table
    that is missing has no rows. Raises a compilation error where a required table or a column is missing. Only models
    of dbt build and dbt run look for the tables; everything else, such as unit tests, works without them.
#}
{% macro contract_as_text(relation, entity) -%}
    {%- set is_looked_up = execute and flags.WHICH in ['build', 'run'] and model.resource_type == 'model' -%}
    {%- set types = {} -%}
    {%- for column in (columns_of_table(relation) if is_looked_up else []) -%}
        {%- do types.update({column.name: column.dtype}) -%}
    {%- endfor -%}
    {%- if is_looked_up and table_fault(relation, entity, types | list) -%}
        {%- do refuse_tables(relation) -%}
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

{# Raises a compilation error with everything that is wrong with the tables. some_table: one of them. #}
{% macro refuse_tables(some_table) -%}
    {%- set faults = [] -%}
    {%- for input in contract_inputs() -%}
        {%- set relation = api.Relation.create(some_table.database, some_table.schema, input) -%}
        {%- set columns = columns_of_table(relation) | map(attribute='name') | list -%}
        {%- do faults.append(table_fault(relation, input | replace('raw_', ''), columns)) -%}
    {%- endfor -%}
    {%- do exceptions.raise_compiler_error(
        'The source tables cannot be read (raw_schema: ' ~ some_table.schema ~ '):\n  - '
        ~ faults | select | join('\n  - ')
    ) -%}
{%- endmacro %}

{# A message on what is wrong with a table that has these columns; none where it is as required. #}
{% macro table_fault(relation, entity, columns) -%}
    {%- set called = relation.schema ~ '.' ~ relation.identifier -%}
    {%- set wanted = contract_columns(entity) -%}
    {%- set missing = wanted | reject('in', columns) | list -%}
    {%- if columns and missing -%}
        {{ return(
            called ~ ': column ' ~ missing | join(', ') ~ ' is missing. Found: ' ~ first_names(columns) ~ '.'
            ~ rename_hints(missing, columns | reject('in', wanted) | list)
            ~ ' Add it, empty if you have no values; a view over the table will do.'
        ) }}
    {%- elif columns -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set tables = tables_beside(relation) -%}
    {%- set others = tables | reject('in', contract_inputs()) | list -%}
    {%- if is_required_input(entity) -%}
        {{ return(
            called ~ ': table or view not found. Found in the schema: ' ~ (first_names(tables) or 'nothing') ~ '.'
            ~ rename_hints([relation.identifier], others)
            ~ ' Create it, or set raw_schema to the schema of your tables.'
        ) }}
    {%- elif closest_name(relation.identifier, others, 0.85) -%}
        {#- A similar name is more likely a misspelt input than another table. -#}
        {{ return(
            called ~ ': table or view not found.' ~ rename_hints([relation.identifier], others)
            ~ ' If that is something else, create ' ~ called ~ ', without rows if you have none.'
        ) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{# Sentences that suggest renames of found names that are similar to missing ones. #}
{% macro rename_hints(missing, found) -%}
    {%- set hints = [] -%}
    {%- for name in missing -%}
        {%- set near = closest_name(name, found) -%}
        {%- if near -%}
            {%- do hints.append(' Rename ' ~ near ~ ' to ' ~ name ~ '.') -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(hints | join) }}
{%- endmacro %}

{# The name in `found` that is most similar to `name`, as Customer ID is to customer_id; none where none is similar. #}
{% macro closest_name(name, found, least=0.7) -%}
    {%- set wanted, best = pairs_of_letters(name), namespace(share=least, name=none) -%}
    {%- for other in found -%}
        {%- set pairs = pairs_of_letters(other) -%}
        {#- Dice's coefficient: the share of pairs of adjacent letters that both names have. -#}
        {%- set share = 2 * (wanted | select('in', pairs) | list | length) / (wanted | length + pairs | length) -%}
        {%- if share > best.share -%}
            {%- set best.share, best.name = share, other -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(best.name) }}
{%- endmacro %}

{% macro pairs_of_letters(name) -%}
    {%- set letters, pairs = modules.re.sub('[^a-z0-9]', '', name | lower), [] -%}
    {%- for number in range(letters | length - 1) -%}
        {%- do pairs.append(letters[number:number + 2]) -%}
    {%- endfor -%}
    {{ return(pairs) }}
{%- endmacro %}

{# Names for a message: twenty at most. #}
{% macro first_names(names) -%}
    {{ return(names[:20] | join(', ') ~ (' and ' ~ (names | length - 20) ~ ' more' if names | length > 20 else '')) }}
{%- endmacro %}
