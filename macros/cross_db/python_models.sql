{#-
    Only dbt-duckdb can run the Python models of this project by itself. On other engines the command customer-loyalty
    runs them in its own process, on the connection of the materialization. A model's result is in the view
    made_by_python of that connection.
-#}

{% materialization table, adapter='postgres', supported_languages=['sql', 'python'] %}
    {%- if model.language == 'sql' -%}
        {{ return(materialization_table_default()) }}
    {%- endif -%}
    {%- do refuse_without_command() -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set made = make_intermediate_relation(target_relation) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {%- call statement('leftover') %}drop table if exists {{ made }} cascade{% endcall -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('python', language='python') %}{{ compiled_code }}{% endcall -%}
    {%- call statement('main') %}{{ get_create_table_as_sql(False, made, 'select * from made_by_python') }}{% endcall -%}
    {%- if existing is not none -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- do adapter.rename_relation(made, target_relation) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do persist_docs(target_relation, model) -%}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% materialization table, adapter='spark', supported_languages=['sql', 'python'] %}
    {%- if model.language == 'sql' -%}
        {{ return(dbt.materialization_table_spark()) }}
    {%- endif -%}
    {%- do refuse_without_command() -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}

    {{ run_hooks(pre_hooks) }}
    {%- call statement('python', language='python') %}{{ compiled_code }}{% endcall -%}
    {%- if existing is not none -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- call statement('main') %}{{ create_table_as(False, target_relation, 'select * from made_by_python') }}{% endcall -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# Raises a compilation error where dbt was not started by customer-loyalty, on an engine that needs this. #}
{% macro refuse_without_command() -%}
    {%- if not env_var('LOYALTY_COMMAND', '') -%}
        {%- do exceptions.raise_compiler_error(
            'dbt alone cannot run the gate on ' ~ target.type ~ ': run ' ~ build_command()
            ~ ', or customer-loyalty build --target ' ~ target.name ~ '.'
        ) -%}
    {%- endif -%}
{%- endmacro %}

{#
    A Python model that returns the text of a query becomes a view of it: on DuckDB files are read where their rows are
    staged, and not copied before.
#}
{% materialization python_view, adapter='duckdb', supported_languages=['python'] %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if existing is not none and not existing.is_view -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- call statement('main', language='python') %}
{{ compiled_code }}


def materialize(query, con):
    con.execute("create or replace view {{ target_relation | replace('"', '\\"') }} as " + query)
    {% endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do persist_docs(target_relation, model) -%}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
