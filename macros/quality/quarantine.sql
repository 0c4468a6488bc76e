{#-
    The quarantine: rows that break a rule of action quarantine are left out, and so are those of a customer who is.
    The models are views, so that they are always of the rows that are staged. They are whole under --empty too (hence
    render): a view that stays empty would leave out everything later. What passed stays in the schema staging, for its
    text may still be anything: a rule may only warn, or stop.
-#}

{# From: the staged rows of an entity, each with the rules that it breaks, and its customer if that one is left out. #}
{% macro staged_with_reasons(entity, id) -%}
    {{ ref('staged_' ~ entity).render() }} as staged
left join (
    select
        source_system,
        id,
        _source_file,
        _source_row,
        {{ joined_text('rule', "', '", order_by=['rule']) }} as rules
    from {{ ref('quarantine_reasons').render() }}
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
        customer_id
    from {{ ref('quarantined_raw_customers').render() }}
) as left_out
    on
        staged.source_system = left_out.source_system
        and staged.known_customer_id = left_out.customer_id
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
