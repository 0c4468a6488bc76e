{#-
    Whether a dbt run publishes: only a whole dbt build does. dbt run runs no tests, and a selection is a part of a
    set that readers must see whole.
-#}

{# The reason why this run does not publish, in a few words; none where it does. #}
{% macro not_published_because() -%}
    {%- set retry = 'dbt retry runs a part of a build, what failed or was skipped' -%}
    {#- dbt retry passes for the command that it repeats, with nothing selected. -#}
    {%- if not selected_resources -%}
        {{ return(retry) }}
    {%- elif flags.WHICH != 'build' -%}
        {{ return('dbt ' ~ flags.WHICH ~ ' runs no tests') }}
    {%- elif flags.EMPTY -%}
        {{ return('--empty builds marts without rows') }}
    {%- elif flags.SAMPLE -%}
        {{ return('--sample builds marts of a part of the rows') }}
    {%- endif -%}
    {%- set left_out = [] -%}
    {%- for node in graph.nodes.values()
        if node.package_name == 'customer_loyalty'
        and node.resource_type in ['model', 'seed', 'snapshot', 'test']
        and node.unique_id not in selected_resources -%}
        {%- do left_out.append(node.name) -%}
    {%- endfor -%}
    {%- if left_out -%}
        {{ return('the selection leaves out ' ~ left_out | length ~ ' nodes, such as ' ~ left_out | sort | first) }}
    {%- endif -%}
    {#- In one process with the build before it (dbtRunner), a retry finds selected what that one selected. -#}
    {%- set staged = run_query(
        "select count(*) from " ~ staging_ledger() ~ " where staged_by = '" ~ invocation_id ~ "'"
    ) -%}
    {{ return(none if staged.rows[0][0] == contract_inputs() | length else retry) }}
{%- endmacro %}

{#
    Raises a compilation error where this run makes or tests something that the publish does not wait for: it could
    fail after the marts were published. Somebody's own models are not ancestors of published_build unless they are put
    there; a test of published_build itself, or of no model at all, comes whenever dbt likes.
#}
{% macro check_that_the_publish_comes_last() -%}
    {%- set before, late = model.depends_on.nodes | list, [] -%}
    {#- The list grows while it is walked, until every ancestor is in it. -#}
    {%- for node in before if node in graph.nodes -%}
        {%- for parent in graph.nodes[node].depends_on.nodes if parent not in before -%}
            {%- do before.append(parent) -%}
        {%- endfor -%}
    {%- endfor -%}
    {#- The graph has no unit tests: they come before their model. -#}
    {%- for id in selected_resources if id in graph.nodes and id != model.unique_id -%}
        {%- set node = graph.nodes[id] -%}
        {%- set needed = (node.depends_on.nodes or ['a model']) if node.resource_type == 'test' else [id] -%}
        {%- if needed | reject('in', before) | list -%}
            {%- do late.append(node.resource_type ~ ' ' ~ node.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if late -%}
        {%- do exceptions.raise_compiler_error(
            'Nothing was published, because the publish does not wait for ' ~ late | sort | join(', ')
            ~ '. Add refs to models/published/published_build.py; a test must be on what is there or above it.'
        ) -%}
    {%- endif -%}
{%- endmacro %}

{# Where the published marts are: the path of a database, or words. #}
{% macro published_place() -%}
    {{ return(adapter.dispatch('published_place', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__published_place() -%}
    {{ return('schema marts of ' ~ (target.dbname or target.database or target.host)) }}
{%- endmacro %}

{% macro duckdb__published_place() -%}
    {{ return(env_var('LOYALTY_PUBLISHED', 'warehouse/published.duckdb')) }}
{%- endmacro %}

{# The command that builds, checks and publishes. #}
{% macro build_command() -%}
    {{ return(adapter.dispatch('build_command', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__build_command() -%}
    {{ return('make build TARGET=' ~ target.name) }}
{%- endmacro %}

{% macro duckdb__build_command() -%}
    {{ return('dbt build') }}
{%- endmacro %}

{# Hook of published_build: tells its Python what only Jinja knows. #}
{% macro note_this_build() -%}
    {%- if execute -%}
    {%- set reason = not_published_because() -%}
    {%- if not reason -%}
        {%- do check_that_the_publish_comes_last() -%}
    {%- endif -%}
    {%- set types = {} -%}
    {%- for column in model.columns.values() -%}
        {%- do types.update({column.name: column.data_type}) -%}
    {%- endfor -%}
    {%- set build %}
    select
        '{{ invocation_id }}' as build_id,
        {{ text_literal(reason) }} as not_published_because,
        '{{ enabled_sources() | join(",") }}' as sources,
        {{ text_literal(setting('raw_data')) }} as raw_data,
        '{{ setting("reporting_currency") }}' as reporting_currency,
        {{ text_literal(published_place()) }} as published_path,
        {{ text_literal(tojson(types)) }} as contract,
        {{ setting('keep_published') }} as keep_published
    {%- endset %}
    {{- remember('this_build', build) }}
    {%- endif -%}
{%- endmacro %}

{# Hook at the end of a run: says whether the marts were published, and what the gate warns of. #}
{% macro announce(results) -%}
    {%- if execute and flags.WHICH in ['build', 'run', 'retry'] -%}
        {%- set ran = {} -%}
        {%- for result in results -%}
            {%- do ran.update({result.node.name: result.status | string}) -%}
        {%- endfor -%}
        {%- set failed = results | rejectattr('status', 'in', ['success', 'pass', 'warn', 'no-op']) | list -%}
        {%- if ran.get('quality_gate') == 'success' -%}
            {%- do tell_gate_warnings() -%}
        {%- endif -%}
        {%- set told = failed | selectattr('node.name', 'equalto', 'published_build') | map(attribute='message') | first -%}
        {%- set reasons = ['the build failed'] if failed else [] -%}
        {#- Of a build that failed nobody asks whether it was whole, but a retry is told. -#}
        {%- if not failed or not selected_resources -%}
            {%- do reasons.append(not_published_because()) -%}
        {%- endif -%}
        {%- set reason = reasons | select | join(', and ') -%}
        {%- if told and not modules.re.search('PublishFault|Nothing was published', told) -%}
            {#- No refusal, so it may have come to the rename before it failed. -#}
            {%- set where = 'make builds' if target.type == 'duckdb' else 'marts.published_build' -%}
            {%- do log('The publish broke off: ' ~ where ~ ' says which build is published.', info=true) -%}
        {%- elif reason -%}
            {%- do log(
                'NOT PUBLISHED: ' ~ reason ~ '. ' ~ ('Mend what failed, then run' if failed else 'Run')
                ~ ' ' ~ ('make build (or dbt build)' if build_command() == 'dbt build' else build_command()) ~ ' with the same settings. What was published before stays: '
                ~ published_place(),
                info=true
            ) -%}
        {%- elif ran.get('published_build') == 'success' -%}
            {%- do log('PUBLISHED: ' ~ published_place() ~ ', build ' ~ invocation_id, info=true) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Says which rules of action warn are broken, and which rows were left out, and why. #}
{% macro tell_gate_warnings() -%}
    {%- set results = quality_relation('gx_validation_results') -%}
    {#- One row of each is enough for what is told with every build. -#}
    {%- set example -%}
        case
            when position('); ' in examples) > 0
                then substring(examples, 1, position('); ' in examples)) || ' and others'
            else examples
        end
    {%- endset -%}
    {%- set warnings = run_query(
        "select " ~ broken_rule_in_words(example) ~ " from " ~ results
        ~ " where not success and action = 'warn' order by input, rule"
    ) -%}
    {%- for warning in warnings.rows -%}
        {%- do log('WARNING: ' ~ warning[0], info=true) -%}
    {%- endfor -%}
    {%- set summary = quality_relation('input_summary') -%}
    {%- set inputs = run_query(
        "select input, rows_left_out, rows_in, reasons from " ~ summary ~ " where rows_left_out > 0 order by input"
    ) -%}
    {%- for row in inputs.rows -%}
        {%- do log(
            'QUARANTINE: ' ~ row[1] ~ ' of ' ~ row[2] ~ ' rows of ' ~ row[0] ~ ' left out (' ~ row[3]
            ~ '), see ' ~ generate_schema_name('quality') ~ '.quarantined_' ~ row[0],
            info=true
        ) -%}
    {%- endfor -%}
{%- endmacro %}
