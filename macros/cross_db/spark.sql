{#-
    What dbt-spark does not support with plain Parquet tables.
-#}

{# A cast to a type of the model contracts, some of which have other names in Spark. #}
{% macro spark__cast(field, type) -%}
    cast({{ field }} as {{ {'varchar': 'string', 'double precision': 'double'}.get(type, type) }})
{%- endmacro %}

{#
    Inserts the rows of a seed. dbt-spark writes an expression for every value, which Spark takes half a minute to parse
    for the demo; here they are one JSON text. It is a raw string literal, because parsing backslashes takes time too.
#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set given = model['config'].get('column_types', {}) -%}
    {%- set columns, statements = [], [] -%}
    {%- for name in agate_table.column_names -%}
        {%- set type = given.get(name, adapter.convert_type(agate_table, loop.index0)) -%}
        {%- do columns.append('cast(given[' ~ loop.index0 ~ '] as ' ~ type ~ ')') -%}
    {%- endfor -%}
    {%- for chunk in agate_table.rows | batch(get_batch_size()) -%}
        {%- set rows = [] -%}
        {%- for row in chunk -%}
            {%- set values = [] -%}
            {%- for value in row -%}
                {%- do values.append(none if value is none else value | string) -%}
            {%- endfor -%}
            {%- do rows.append(values) -%}
        {%- endfor -%}
        {%- set sql -%}
            insert into {{ this }}
            select {{ columns | join(', ') }}
            from (select explode(from_json(r'{{ tojson(rows) | replace("'", "\\u0027") | replace("$", "\\u0024") }}', 'array<array<string>>')) as given) as rows_given
        {%- endset -%}
        {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
        {%- do statements.append(sql) -%}
    {%- endfor -%}
    {{ return(statements | first) }}
{%- endmacro %}

{#
    A snapshot without MERGE, which only Delta, Iceberg and Hudi support: a new table, of the existing rows and those
    that dbt finds changed, replaces the old one.
-#}
{% materialization snapshot, adapter='spark' %}
    {%- if config.get('file_format') in ['delta', 'iceberg', 'hudi'] -%}
        {{ return(dbt.materialization_snapshot_spark()) }}
    {%- endif -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set made = target_relation.incorporate(path={'identifier': this.identifier ~ '__new'}) -%}
    {%- set existing = adapter.get_relation(none, this.schema, this.identifier) -%}
    {%- set leftover = adapter.get_relation(none, this.schema, made.identifier) -%}
    {%- if leftover is not none and existing is none -%}
        {#- A run was killed after it dropped the old table and before it renamed the new one. -#}
        {%- do adapter.rename_relation(made, target_relation) -%}
        {%- set existing = target_relation -%}
    {%- elif leftover is not none -%}
        {%- do adapter.drop_relation(made) -%}
    {%- endif -%}
    {%- set names = get_snapshot_table_column_names() -%}
    {%- set strategy = strategy_dispatch(config.get('strategy'))(
        model, 'snapshotted_data', 'source_data', model['config'], existing is not none
    ) -%}

    {{ run_hooks(pre_hooks) }}
    {%- if existing is none -%}
        {%- call statement('main') %}
            {{ create_table_as(False, target_relation, build_snapshot_table(strategy, model['compiled_code'])) }}
        {% endcall -%}
    {%- else -%}
        {%- set changes = spark_build_snapshot_staging_table(strategy, model['compiled_code'], target_relation) -%}
        {%- set columns = adapter.get_columns_in_relation(target_relation) | map(attribute='name') | list -%}
        {%- set all_rows %}
            select
                {%- for column in columns %}
                {% if column == names.dbt_valid_to -%}
                coalesce(history.{{ column }}, ended.{{ column }}) as {{ column }}
                {%- else -%}
                history.{{ column }}
                {%- endif -%}
                {{ ',' if not loop.last }}
                {%- endfor %}
            from {{ target_relation }} as history
            left join {{ changes }} as ended
                on
                    history.{{ names.dbt_scd_id }} = ended.{{ names.dbt_scd_id }}
                    and ended.dbt_change_type in ('update', 'delete')
            union all
            select {{ columns | join(', ') }}
            from {{ changes }}
            where dbt_change_type = 'insert'
        {%- endset -%}
        {%- call statement('main') %}{{ create_table_as(False, made, all_rows) }}{% endcall -%}
        {%- do post_snapshot(changes) -%}
        {%- do adapter.drop_relation(target_relation) -%}
        {%- do adapter.rename_relation(made, target_relation) -%}
    {%- endif -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
