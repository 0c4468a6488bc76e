-- Every delivered row is in its clean model or in the quarantine, as counted in the summary.

with

counted as (
    {%- for name in contract_inputs() %}
    {%- set entity = name | replace('raw_', '') %}
    {{ 'union all' if not loop.first }}
    select
        '{{ name }}' as input,
        (select count(*) from {{ ref('staged_' ~ entity) }}) as rows_in,
        (select count(*) from {{ ref('clean_' ~ entity) }}) as rows_used
    {%- endfor %}

),

summary as (

    select * from {{ ref('input_summary').render() }}

)

select
    counted.input,
    counted.rows_in,
    counted.rows_used,
    summary.rows_left_out
from counted
left join summary on counted.input = summary.input
where
    summary.input is null
    or summary.rows_in != counted.rows_in
    or summary.rows_used != counted.rows_used
    or summary.rows_in != counted.rows_used + summary.rows_left_out
    or summary.rows_left_out != summary.rows_quarantined + summary.rows_followed
