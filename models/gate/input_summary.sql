{%- set share = 'cast(' ~ setting('max_quarantined_share') ~ ' as decimal(18, 10))' -%}

with

-- render: reads the rows even under --empty
checked as (

    select distinct
        input,
        staged_by
    from {{ ref('gx_staged_results').render() }}

),

delivered as (
    {%- for name in contract_inputs() %}
    {{ 'union all' if not loop.first }}
    select
        '{{ name }}' as input,
        count(*) as rows_in
    from {{ ref(name | replace('raw_', 'staged_')) }}
    {%- endfor %}

),

-- raw_exchange_rates has no quarantine
left_out as (
    {%- for name in contract_inputs() if name != 'raw_exchange_rates' %}
    {{ 'union all' if not loop.first }}
    select
        '{{ name }}' as input,
        count(*) as rows_left_out,
        count(case when breaks_a_rule then 1 end) as rows_quarantined,
        count(case when follows_customer then 1 end) as rows_following
    from {{ ref('quarantined_' ~ name) }}
    {%- endfor %}

),

reasons as (

    select
        input,
        rule,
        count(*) as rows_for_it
    from {{ ref('quarantine_reasons') }}
    group by input, rule
    union all
    select
        input,
        'customer_was_quarantined' as rule,
        rows_following as rows_for_it
    from left_out
    where rows_following > 0

),

reason_texts as (

    select
        input,
        {{ joined_text("rule || ' ' || rows_for_it", "', '", order_by=['-rows_for_it', 'rule']) }} as reasons
    from reasons
    group by input

),

counted as (

    select
        delivered.input,
        delivered.rows_in,
        reason_texts.reasons,
        checked.staged_by,
        coalesce(left_out.rows_left_out, 0) as rows_left_out,
        coalesce(left_out.rows_quarantined, 0) as rows_quarantined
    from delivered
    inner join checked on delivered.input = checked.input
    left join left_out on delivered.input = left_out.input
    left join reason_texts on delivered.input = reason_texts.input

),

limited as (

    select
        *,
        greatest(
            cast(floor({{ share }} * rows_in) as bigint),
            case when rows_in between 1 and 99 then 1 else 0 end
        ) as max_rows_quarantined
    from counted

)

select
    input,
    rows_in,
    rows_left_out,
    rows_quarantined,
    max_rows_quarantined,
    reasons,
    staged_by,
    rows_left_out - rows_quarantined as rows_followed,
    rows_in - rows_left_out as rows_used,
    rows_quarantined > max_rows_quarantined as is_over_limit
from limited
