{#-
    The guard between staging and everything below. It is a hook of quality_gate and of each input_* model, so that
    build, run, retry and any --select meet it; a hook leaves compile, docs and unit tests alone.
-#}

{% macro gate_inputs() -%}
    {{ return(['raw_customers', 'raw_orders', 'raw_surveys', 'raw_exchange_rates', 'raw_subscriptions']) }}
{%- endmacro %}

{# The table that says by which dbt run each input was staged last. #}
{% macro staging_ledger() -%}
    {{ return(api.Relation.create(database=target.database, schema='quality', identifier='staged_inputs')) }}
{%- endmacro %}

{% macro create_staging_ledger() -%}
    {%- if execute -%}
    create schema if not exists {{ staging_ledger().without_identifier() }};
    create table if not exists {{ staging_ledger() }} (
        input {{ dbt.type_string() }},
        staged_by {{ dbt.type_string() }}
    );
    {%- endif -%}
{%- endmacro %}

{# Hook at the start of a run that will check the inputs: should it not come to that, no older result looks current. #}
{% macro forget_gate_results() -%}
    {%- if execute and 'model.customer_loyalty.gx_validation_results' in selected_resources -%}
        {%- set results = adapter.get_relation(target.database, 'quality', 'gx_validation_results') -%}
        {%- if results is not none -%}
    delete from {{ results }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Hook of each staged_* model, in its transaction: from now on the input is unchecked until the gate sees it. #}
{% macro note_staging() -%}
    {%- if execute -%}
    {%- set name = this.identifier | replace('staged_', 'raw_') -%}
    delete from {{ staging_ledger() }} where input = '{{ name }}';
    insert into {{ staging_ledger() }} values ('{{ name }}', '{{ invocation_id }}');
    {%- endif -%}
{%- endmacro %}

{# Hook of gx_validation_results: tells its Python what only Jinja knows. #}
{% macro note_this_check() -%}
    {%- if execute -%}
    create or replace temp table this_check as
    select
        '{{ invocation_id }}' as run_id,
        {{ run_started_at_utc() }} as checked_at,
        '{{ enabled_sources() | join(",") }}' as sources,
        {{ setting('allow_empty_inputs') }} as allow_empty_inputs
    {%- endif -%}
{%- endmacro %}

{#
    Ends the model unless the gate is open: every input was checked after it was staged, and no rule that stops (or
    that would quarantine) is broken. The results are read by their relation's own name: under --empty a ref is an
    empty table, and an empty table holds no fault.
#}
{% macro refuse_unless_gate_open() -%}
    {%- if execute -%}
    {%- set results = adapter.get_relation(target.database, 'quality', 'gx_validation_results') -%}
    {%- set new_line = "chr(10) || '  '" -%}
    {%- if results is none -%}
    select {{ fail_with("'The gate is closed: the inputs were never checked. Run dbt build.'") }}
    {%- else -%}
    with

    inputs as (
        {%- for name in gate_inputs() %}
        {{ 'union all' if not loop.first }}
        select '{{ name }}' as input
        {%- endfor %}
    ),

    unchecked as (
        select string_agg(inputs.input, ', ' order by inputs.input) as names
        from inputs
        where not exists (
            select 1
            from {{ results }} as results
            inner join {{ staging_ledger() }} as ledger
                on results.input = ledger.input and results.staged_by = ledger.staged_by
            where results.input = inputs.input
        )
    ),

    broken as (
        select
            results.*,
            row_number() over (
                order by case results.action when 'stop' then 1 else 2 end, results.input, results.rule
            ) as place
        from {{ results }} as results
        inner join {{ staging_ledger() }} as ledger
            on results.input = ledger.input and results.staged_by = ledger.staged_by
        where not results.success and results.action in ('stop', 'quarantine')
    ),

    told as (
        select
            string_agg(
                input || '.' || column_name || '  ' || rule || ' (' || action || ')  '
                || case
                    when unexpected_count = 0 then 'no rows'
                    else unexpected_count || ' of ' || element_count || ' rows'
                end
                || {{ new_line }} || '    ' || says || ' ' || remedy
                || coalesce({{ new_line }} || '    ' || examples, ''),
                {{ new_line }} order by place
            ) filter (where place <= 8)
            || coalesce(
                {{ new_line }} || 'and '
                || string_agg(input || '.' || rule || ' (' || unexpected_count || ' rows)', ', ' order by place)
                    filter (where place > 8),
                ''
            ) as faults
        from broken
    ),

    message as (
        select
            case
                when told.faults is not null
                    then
                        'The gate is closed: nothing below it was built, nothing was published.'
                        || {{ new_line }} || told.faults
                        || {{ new_line }} || 'All results: quality.gx_validation_results.'
                        || ' Mend the input, then run dbt build again.'
                when unchecked.names is not null
                    then
                        'The gate is closed: ' || unchecked.names
                        || ' was staged anew and not checked since. Run dbt build.'
            end as text
        from unchecked
        cross join told
    )

    select {{ fail_with('message.text') }}
    from message
    where message.text is not null
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}
