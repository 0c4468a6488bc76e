-- depends_on: {{ ref('input_summary') }}
with

results as (

    select * from {{ ref('gx_validation_results') }}

)

select
    run_id,
    checked_at,
    count(*) as rules,
    count(case when not success then 1 end) as rules_broken
from results
group by run_id, checked_at
