{#-
    The source system tables: raw inputs that stand as tables in the schema raw_schema, in types of their own.
-#}

{#
    Select: the rows of a table in the columns of the input contract, as text, and where they came from: the table's own
    _source_file and _source_row, which make load writes, else the table's name and no row. An optional table that is
    not there has no rows. Raises a compilation error where a required table or a column is missing. Only a run that
    makes something looks: all else, unit tests too, does without the tables.
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

{# Raises a compilation error with what is wrong with the tables, all of them at once: some_table is one of them. #}
{% macro refuse_tables(some_table) -%}
    {%- set faults = [] -%}
    {%- for input in contract_inputs() -%}
        {%- set relation = api.Relation.create(some_table.database, some_table.schema, input) -%}
        {%- set columns = columns_of_table(relation) | map(attribute='name') | list -%}
        {%- do faults.append(table_fault(relation, input | replace('raw_', ''), columns)) -%}
    {%- endfor -%}
    {%- do exceptions.raise_compiler_error(
        'The source tables can not be read (raw_schema: ' ~ some_table.schema ~ '):\n  - '
        ~ faults | select | join('\n  - ')
    ) -%}
{%- endmacro %}

{# What is wrong with a table of these columns, and what to do; none where nothing is. #}
{% macro table_fault(relation, entity, columns) -%}
    {%- set called = relation.schema ~ '.' ~ relation.identifier -%}
    {%- set wanted = contract_columns(entity) -%}
    {%- set missing = wanted | reject('in', columns) | list -%}
    {%- if columns and missing -%}
        {{ return(
            called ~ ': column ' ~ missing | join(', ') ~ ' is missing. Found: ' ~ some_of(columns) ~ '.'
            ~ renames(missing, columns | reject('in', wanted) | list)
            ~ ' Add what is missing, empty if you have no values; a view over the table will do.'
        ) }}
    {%- elif columns -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set tables = tables_beside(relation) -%}
    {%- set others = tables | reject('in', contract_inputs()) | list -%}
    {%- if is_required_input(entity) -%}
        {{ return(
            called ~ ': there is no such table or view. Found in the schema: ' ~ (some_of(tables) or 'nothing') ~ '.'
            ~ renames([relation.identifier], others)
            ~ ' Make it, or name the schema of your tables by raw_schema.'
        ) }}
    {%- elif nearly_called(relation.identifier, others, 0.85) -%}
        {#- A name that is nearly right is more likely this input than another table. -#}
        {{ return(
            called ~ ': there is no such table or view.' ~ renames([relation.identifier], others)
            ~ ' If that is something else, make ' ~ called ~ ', without rows if you have none.'
        ) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{# Sentences that tell which of the names that were found are nearly the missing ones. #}
{% macro renames(missing, found) -%}
    {%- set told = [] -%}
    {%- for name in missing -%}
        {%- set near = nearly_called(name, found) -%}
        {%- if near -%}
            {%- do told.append(' Rename ' ~ near ~ ' to ' ~ name ~ '.') -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(told | join) }}
{%- endmacro %}

{# The one of `found` that is nearly called `name`, as Customer ID and custmer_id are; none where there is none. #}
{% macro nearly_called(name, found, least=0.7) -%}
    {%- set wanted, best = pairs_of_letters(name), namespace(share=least, name=none) -%}
    {%- for other in found -%}
        {%- set pairs = pairs_of_letters(other) -%}
        {#- Dice's coefficient: the share of the pairs of neighbouring letters that both have. -#}
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

{# Names in a message: twenty at most. #}
{% macro some_of(names) -%}
    {{ return(names[:20] | join(', ') ~ (' and ' ~ (names | length - 20) ~ ' more' if names | length > 20 else '')) }}
{%- endmacro %}
