{#-
    The quarantine: rows that break a rule with action quarantine are left out, and so are all rows of customers who
    are left out.
-#}

{#
    Select: the staged rows of an entity that are not left out. columns: select items. is_whole: all rows even under
    --empty, for views that the run leaves behind.
#}
{% macro remaining_rows(staged, entity, id, columns=['staged.*'], is_whole=false) -%}
    select {{ columns | join(', ') }}
    from {{ staged_with_reasons(staged, entity, id, is_whole) }}
    where not {{ is_left_out(entity) }}
{%- endmacro %}

{# From: the staged rows of an entity, with the rules that each breaks, and its customer if that one is left out. #}
{% macro staged_with_reasons(staged, entity, id, is_whole=true) -%}
    {%- set reasons = ref('quarantine_reasons').render() -%}
    (select * from {{ staged.render() if is_whole else staged }}) as staged
left join (
    select
        source_system,
        id,
        _source_file,
        _source_row,
        {{ joined_text('rule', "', '", order_by=['rule']) }} as rules
    from {{ reasons }}
    where input = 'raw_{{ entity }}'
    group by source_system, id, _source_file, _source_row
) as broken
    on
        staged.source_system = broken.source_system
        and {{ is_same('staged.' ~ id, 'broken.id') }}
        and {{ is_same('staged._source_file', 'broken._source_file') }}
        and {{ is_same('staged._source_row', 'broken._source_row') }}
    {%- if entity != 'customers' %}
left join (
    select distinct
        source_system,
        id as customer_id
    from {{ reasons }}
    where input = 'raw_customers'
) as left_out
    on
        staged.source_system = left_out.source_system
        and staged.customer_id = left_out.customer_id
    {%- endif %}
{%- endmacro %}

{# Select items: why a row of staged_with_reasons is left out. #}
{% macro quarantine_reasons(entity) -%}
    {%- set follows = 'false' if entity == 'customers' else 'left_out.customer_id is not null' -%}
    case
        when not ({{ follows }}) then broken.rules
        else coalesce(broken.rules || ', ', '') || 'customer_was_quarantined'
    end as reasons,
    broken.rules is not null as breaks_a_rule,
    {{ follows }} as follows_customer
{%- endmacro %}

{# Whether a row of staged_with_reasons is left out. #}
{% macro is_left_out(entity) -%}
    (broken.rules is not null{{ '' if entity == 'customers' else ' or left_out.customer_id is not null' }})
{%- endmacro %}

{# The view of the rows of an entity that are not left out, which Great Expectations checks. #}
{% macro remaining_view(entity) -%}
    {{ return(api.Relation.create(
        database=target.database | default(none),
        schema=generate_schema_name('staging'),
        identifier='remaining_' ~ entity,
    )) }}
{%- endmacro %}

{#
    Hook of input_summary, before the gate's last step: creates the remaining_* views of entities with a quarantine.
    They have no personal columns, because an engine may write them to a table for Great Expectations.
#}
{% macro create_remaining_views() -%}
    {%- if execute -%}
        {%- for entity in entities() if entity != 'exchange_rates' -%}
            {%- set staged, personal, columns = ref('staged_' ~ entity), columns_with(entity, 'personal'), [] -%}
            {%- for column in adapter.get_columns_in_relation(staged) if column.name not in personal -%}
                {%- do columns.append('staged.' ~ column.name) -%}
            {%- endfor -%}
            {%- set id = columns_with(entity, 'key') | first -%}
            {%- set rows = remaining_rows(staged, entity, id, columns, is_whole=true) -%}
            {%- do replace_view(remaining_view(entity), rows) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
