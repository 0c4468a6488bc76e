{#-
    Whether a dbt run publishes: only a complete dbt build does. dbt run does not run tests, and a selection builds only
    a part of the marts, which must be published together.
-#}

{# The reason why this run does not publish, for a message; none where it does. #}
{% macro not_published_because() -%}
    {%- set retry = 'dbt retry runs only the part of a build that failed or was skipped' -%}
    {#- In dbt retry, flags.WHICH is the repeated command, and nothing is selected. -#}
    {%- if not selected_resources -%}
        {{ return(retry) }}
    {%- elif flags.WHICH != 'build' -%}
        {{ return('dbt ' ~ flags.WHICH ~ ' does not run tests') }}
    {%- elif flags.EMPTY -%}
        {{ return('--empty builds marts without rows') }}
    {%- elif flags.SAMPLE -%}
        {{ return('--sample builds marts from a part of the rows') }}
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
    {#- In the same process as the build (dbtRunner), a retry still has the selection of that build. -#}
    {%- set staged = run_query(
        "select count(*) from " ~ staging_ledger() ~ " where staged_by = '" ~ invocation_id ~ "'"
    ) -%}
    {{ return(none if staged.rows[0][0] == contract_inputs() | length else retry) }}
{%- endmacro %}

{#
    Raises a compilation error where this run builds or tests something that the publish does not wait for: it could
    fail after the marts were published. Models added to the project are not ancestors of published_build unless it
    refs them; a test of published_build itself, or of no model at all, may run at any time.
#}
{% macro check_that_the_publish_comes_last() -%}
    {%- set before, late = model.depends_on.nodes | list, [] -%}
    {#- The loop appends to the list that it iterates over, until all ancestors are in it. -#}
    {%- for node in before if node in graph.nodes -%}
        {%- for parent in graph.nodes[node].depends_on.nodes if parent not in before -%}
            {%- do before.append(parent) -%}
        {%- endfor -%}
    {%- endfor -%}
    {#- Unit tests are not in the graph: they always run before their model. -#}
    {%- for id in selected_resources if id in graph.nodes and id != model.unique_id -%}
        {%- set node = graph.nodes[id] -%}
        {%- set needed = (node.depends_on.nodes or ['a model']) if node.resource_type == 'test' else [id] -%}
        {%- if needed | reject('in', before) | list -%}
            {%- do late.append(node.resource_type ~ ' ' ~ node.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if late -%}
        {%- do exceptions.raise_compiler_error(
            'Nothing was published, because publishing would not wait for ' ~ late | sort | join(', ')
            ~ '. Add refs to models/published/published_build.py; tests must be on models that it refs, or upstream.'
        ) -%}
    {%- endif -%}
{%- endmacro %}

{# Where the marts are published: the path of a database file, or a description. #}
{% macro published_place() -%}
    {{ return(adapter.dispatch('published_place', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__published_place() -%}
    {{ return('schema marts of ' ~ (target.dbname or target.database or target.host)) }}
{%- endmacro %}

{% macro duckdb__published_place() -%}
    {{ return(env_var('LOYALTY_PUBLISHED', 'warehouse/published.duckdb')) }}
{%- endmacro %}

{# The command that builds, checks and publishes, for messages. #}
{% macro build_command() -%}
    {{ return(adapter.dispatch('build_command', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__build_command() -%}
    {{ return('make build TARGET=' ~ target.name) }}
{%- endmacro %}

{% macro duckdb__build_command() -%}
    {{ return('dbt build') }}
{%- endmacro %}

{# Hook of published_build: passes settings of the run to its Python code. #}
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

{# Hook at the end of a run: logs whether the marts were published, and the warnings of the gate. #}
{% macro announce(results) -%}
    {%- if execute and flags.WHICH in ['build', 'run', 'retry'] -%}
        {%- set ran = {} -%}
        {%- for result in results -%}
            {%- do ran.update({result.node.name: result.status | string}) -%}
        {%- endfor -%}
        {%- set failed = results | rejectattr('status', 'in', ['success', 'pass', 'warn', 'no-op']) | list -%}
        {%- if ran.get('quality_gate') == 'success' -%}
            {%- do log_gate_warnings() -%}
        {%- endif -%}
        {%- set error = failed | selectattr('node.name', 'equalto', 'published_build') | map(attribute='message') | first -%}
        {%- set reasons = ['the build failed'] if failed else [] -%}
        {#- After a failure, only a retry has to know that it would not have published anyway. -#}
        {%- if not failed or not selected_resources -%}
            {%- do reasons.append(not_published_because()) -%}
        {%- endif -%}
        {%- set reason = reasons | select | join(', and ') -%}
        {%- if error and not modules.re.search('PublishFault|Nothing was published', error) -%}
            {#- Not a refusal, so it may have failed after the marts were replaced. -#}
            {%- set where = 'make builds' if target.type == 'duckdb' else 'marts.published_build' -%}
            {%- do log('Publishing was interrupted: ' ~ where ~ ' shows which build is published.', info=true) -%}
        {%- elif reason -%}
            {%- do log(
                'NOT PUBLISHED: ' ~ reason ~ '. ' ~ ('Fix what failed, then run' if failed else 'Run')
                ~ ' ' ~ ('make build (or dbt build)' if build_command() == 'dbt build' else build_command())
                ~ ' with the same settings. The previous build is still published: '
                ~ published_place(),
                info=true
            ) -%}
        {%- elif ran.get('published_build') == 'success' -%}
            {%- do log('PUBLISHED: ' ~ published_place() ~ ', build ' ~ invocation_id, info=true) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Logs the broken rules with action warn, and how many rows of each input were left out, and why. #}
{% macro log_gate_warnings() -%}
    {%- set results = quality_relation('gx_validation_results') -%}
    {#- Every build repeats the warnings, so they show one row each. -#}
    {%- set example -%}
        case
            when position('); ' in examples) > 0
                then substring(examples, 1, position('); ' in examples)) || ' and others'
            else examples
        end
    {%- endset -%}
    {%- set warnings = run_query(
        "select " ~ broken_rule_message(example) ~ " from " ~ results
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
