-- S of a period is E of the previous one, and 0 in the first; no period in between is missing.
with

retention as (

    select * from {{ ref('retention') }}

),

followed as (

    select
        *,
        lag(customers_at_end, 1, 0) over (
            partition by period_grain, dimension, segment
            order by period_start
        ) as end_before,
        lag(period_end) over (
            partition by period_grain, dimension, segment
            order by period_start
        ) as period_end_before
    from retention

)

select
    period_grain,
    period_start,
    dimension,
    segment,
    customers_at_start,
    end_before,
    period_end_before
from followed
where
    customers_at_start != end_before
    or period_start != {{ add_days('period_end_before', 1) }}
