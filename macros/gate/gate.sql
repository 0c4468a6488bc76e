{#-
    The gate between staging and everything downstream. It is a hook of quality_gate and of each clean_* model, so that
    it applies to build, run, retry and any --select; a hook does not affect compile, docs and unit tests.
-#}

{# The table with the dbt run that staged each input last: one row per input. #}
{% macro staging_ledger() -%}
    {{ return(api.Relation.create(
        database=target.database | default(none), schema=generate_schema_name('quality'), identifier='staged_inputs'
    )) }}
{%- endmacro %}

{% macro create_staging_ledger() -%}
    {%- if execute -%}
    {%- do adapter.create_schema(staging_ledger().without_identifier()) %}
    {{- adapter.dispatch('create_staging_ledger', 'customer_loyalty')() }}
    {%- endif -%}
{%- endmacro %}

{% macro default__create_staging_ledger() %}
    create table if not exists {{ staging_ledger() }} (
        input {{ dbt.type_string() }},
        staged_by {{ dbt.type_string() }}
    )
{%- endmacro %}

{#
    A plain Spark table can't be updated, only replaced, and two threads can't replace even different partitions of it
    at once. So each input has a table of its own, and the ledger is a view of them.
#}
{% macro spark__create_staging_ledger() %}
    {%- set parts = [] -%}
    {%- for name in contract_inputs() -%}
        {%- call statement('part') -%}
    create table if not exists {{ staging_ledger() }}_{{ name }} (input string, staged_by string) using parquet
        {%- endcall -%}
        {%- do parts.append('select input, staged_by from ' ~ staging_ledger() ~ '_' ~ name) -%}
    {%- endfor %}
    create or replace view {{ staging_ledger() }} as {{ parts | join(' union all ') }}
{%- endmacro %}

{# Hook at the start of a run that checks the inputs: deletes old results, should the run end before it has new ones. #}
{% macro forget_gate_results() -%}
    {%- if execute and 'model.customer_loyalty.gx_validation_results' in selected_resources -%}
        {%- set results = quality_relation('gx_validation_results') -%}
        {%- if results is not none -%}
    {{ remove_all_rows(results) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Hook of each staged_* model, in its transaction: marks the input as not checked yet. #}
{% macro note_staging() -%}
    {%- if execute -%}
    {{ return(adapter.dispatch('note_staging', 'customer_loyalty')(this.identifier | replace('staged_', 'raw_'))) }}
    {%- endif -%}
{%- endmacro %}

{% macro default__note_staging(name) -%}
    delete from {{ staging_ledger() }} where input = '{{ name }}';
    insert into {{ staging_ledger() }} values ('{{ name }}', '{{ invocation_id }}')
{%- endmacro %}

{% macro spark__note_staging(name) -%}
    insert overwrite table {{ staging_ledger() }}_{{ name }} select '{{ name }}', '{{ invocation_id }}'
{%- endmacro %}

{# Hook of the models that run Great Expectations: passes settings of the run to their Python code. #}
{% macro note_this_check() -%}
    {%- if execute -%}
    {%- set check %}
    select
        '{{ invocation_id }}' as run_id,
        {{ run_started_at_utc() }} as checked_at,
        '{{ enabled_sources() | join(",") }}' as sources,
        {{ text_literal(setting('raw_data')) }} as raw_data,
        {{ setting('allow_empty_inputs') }} as allow_empty_inputs,
        '{{ setting("quality_policy") }}' as quality_policy,
        '{{ setting("max_shrinkage_share") }}' as max_shrinkage_share,
        {{ setting('gate_timeout_seconds') }} as gate_timeout_seconds,
        {{ text_literal(published_place()) }} as published_path
    {%- endset %}
    {{- remember('this_check', check) }}
    {%- endif -%}
{%- endmacro %}

{# Hook: fails the model unless the gate is open; see reasons_to_refuse. #}
{% macro refuse_unless_gate_open() -%}
    {%- if execute -%}
    {%- set results, summary = quality_relation('gx_validation_results'), quality_relation('input_summary') -%}
    {%- if results is none or summary is none -%}
    {{ refuse_with("select 'The gate is closed: the inputs were never checked. Run " ~ build_command() ~ ".' as text") }}
    {%- else -%}
    {{ refuse_with(reasons_to_refuse(results, summary)) }}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#
    A condition of the models clean_*: true. On DuckDB they are views, and reading them fails unless the gate is open,
    also later: staged rows that were not checked must not be taken for clean ones.
#}
{% macro while_gate_is_open() -%}
    {{ return(adapter.dispatch('while_gate_is_open', 'customer_loyalty')()) }}
{%- endmacro %}

{% macro default__while_gate_is_open() -%}
    true
{%- endmacro %}

{% macro duckdb__while_gate_is_open() -%}
    {%- set results, summary = none, none -%}
    {%- if is_model_run() -%}
        {%- set results, summary = quality_relation('gx_validation_results'), quality_relation('input_summary') -%}
    {%- endif -%}
    {%- if results is none or summary is none -%}
    true
    {%- else -%}
    coalesce(
        (
            select cast(error(refusal.text) as boolean)
            from (
                {{ reasons_to_refuse(results, summary) }}
            ) as refusal
        ),
        true
    )
    {%- endif -%}
{%- endmacro %}

{# A table of the gate; none where it does not exist. #}
{% macro quality_relation(name) -%}
    {{ return(adapter.get_relation(target.database | default(none), generate_schema_name('quality'), name)) }}
{%- endmacro %}

{#
    An expression: the message of a broken rule, with the column, the number of rows, what is wrong, what to do, and
    some of the rows. examples: an expression of those rows, one per line.
#}
{% macro broken_rule_message(examples="replace(examples, '); ', ')' || " ~ indented_line() ~ ")") -%}
    input || case column_name when '*' then '' else '.' || column_name end || '  ' || rule || ' (' || action || ')  '
    || case
        when success then 'broken by what remains of ' || element_count || ' rows after quarantine'
        when unexpected_count > 0 then unexpected_count || ' of ' || element_count || ' rows'
        when element_count > 0 then element_count || ' rows'
        else 'no rows'
    end
    || {{ indented_line() }} || says || ' ' || remedy
    || coalesce({{ indented_line() }} || {{ examples }}, '')
{%- endmacro %}

{# An expression that begins a line below a broken rule. #}
{% macro indented_line() -%}
    {{ return("chr(10) || '      '") }}
{%- endmacro %}

{#
    A query of the message that says why the gate is closed; no row where it is open. The gate is open if every input
    was checked after it was staged, no rule with action stop is broken, no input has more rows in quarantine than
    allowed, and the remaining rows break no rules but warnings. The query reads the relations by their own names:
    under --empty a ref is an empty table, which has no broken rules.
#}
{% macro reasons_to_refuse(results, summary) -%}
{%- set new_line = "chr(10) || '  '" -%}
with

inputs as (
    {%- for name in contract_inputs() %}
    {{ 'union all' if not loop.first }}
    select '{{ name }}' as input
    {%- endfor %}
),

results as (
    select results.*
    from {{ results }} as results
    inner join {{ staging_ledger() }} as ledger
        on results.input = ledger.input and results.staged_by = ledger.staged_by
),

summary as (
    select summary.*
    from {{ summary }} as summary
    inner join {{ staging_ledger() }} as ledger
        on summary.input = ledger.input and summary.staged_by = ledger.staged_by
),

unchecked as (
    select {{ joined_text('input', "', '", order_by=['input']) }} as names
    from inputs
    where
        input not in (select results.input from results)
        or input not in (select summary.input from summary)
),

too_many as (
    select
        input,
        rows_quarantined || ' of ' || rows_in || ' rows of ' || input || ' break rules, '
        || case max_rows_quarantined when 0 then 'none' else 'at most ' || max_rows_quarantined end
        || ' may be quarantined (max_quarantined_share). They are in {{ generate_schema_name('quality') }}.quarantined_' || input || '.' as text
    from summary
    where is_over_limit
),

broken as (
    select
        results.*,
        row_number() over (
            order by results.success, case results.action when 'stop' then 1 else 2 end, results.input, results.rule
        ) as place
    from results
    where results.closes_gate
),

listed as (
    select
        {{ joined_text(broken_rule_message(), new_line, order_by=['place'], where='place <= 5') }}
        || coalesce(
            {{ new_line }} || 'and '
            || {{ joined_text(
                "input || '.' || rule || ' (' || unexpected_count || ' rows)'",
                "', '",
                order_by=['place'],
                where='place > 5',
            ) }},
            ''
        ) as faults
    from broken
),

limits as (
    select {{ joined_text(new_line ~ ' || text', "''", order_by=['input']) }} as text
    from too_many
),

message as (
    select
        case
            when listed.faults is not null
                then
                    'The gate is closed: nothing downstream was built, and nothing was published.'
                    || coalesce(limits.text, '')
                    || {{ new_line }} || listed.faults
                    || {{ new_line }} || 'All results: make data-docs, or ' || {{ text_literal(table_location(results)) }}
                    || {{ new_line }} || 'Fix the input, then build again.'
            when unchecked.names is not null
                then
                    'The gate is closed: ' || unchecked.names
                    || ' was staged again after the last check. Run {{ build_command() }}.'
        end as text
    from unchecked
    cross join listed
    cross join limits
)

select text
from message
where text is not null
{%- endmacro %}
