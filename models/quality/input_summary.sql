{%- set share = 'cast(' ~ setting('max_quarantined_share') ~ ' as decimal(18, 10))' -%}

with

-- render: it has its rows under --empty too
judged as (

    select distinct
        input,
        staged_by
    from {{ ref('gx_staged_results').render() }}

),

counted as (
    {%- for name in gate_inputs() %}
    {%- set staged = ref(name | replace('raw_', 'staged_')) %}
    {{ 'union all' if not loop.first }}
    select
        '{{ name }}' as input,
        (select count(*) from {{ staged }}) as rows_in,
        {%- if name == 'raw_exchange_rates' %}
        0 as rows_left_out,
        0 as rows_quarantined,
        cast(null as {{ dbt.type_string() }}) as reasons
        {%- else %}
        (select count(*) from {{ ref('quarantined_' ~ name) }}) as rows_left_out,
        (select count(case when breaks_a_rule then 1 end) from {{ ref('quarantined_' ~ name) }}) as rows_quarantined,
        (
            select string_agg(rule || ' ' || rows_broken, ', ' order by rows_broken desc, rule asc)
            from (
                select
                    rule,
                    count(*) as rows_broken
                from (
                    select rule
                    from {{ ref('quarantine_reasons') }}
                    where input = '{{ name }}'
                    union all
                    select 'customer_was_quarantined'
                    from {{ ref('quarantined_' ~ name) }}
                    where follows_customer
                ) as all_reasons
                group by rule
            ) as counted_reasons
        ) as reasons
        {%- endif %}
    {%- endfor %}

)

select
    counted.input,
    counted.rows_in,
    counted.rows_left_out,
    counted.rows_quarantined,
    counted.rows_left_out - counted.rows_quarantined as rows_followed,
    counted.rows_in - counted.rows_left_out as rows_used,
    greatest(
        cast(floor({{ share }} * counted.rows_in) as bigint),
        case when counted.rows_in between 1 and 99 then 1 else 0 end
    ) as max_rows_quarantined,
    counted.reasons,
    judged.staged_by
from counted
inner join judged on counted.input = judged.input
