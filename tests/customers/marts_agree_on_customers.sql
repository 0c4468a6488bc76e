-- The totals of the mart customers equal those of retention, customer lifetime value and cohorts: no customer is lost
-- or counted twice.
with

customers as (

    select
        count(*) as customers,
        sum(case when active_days > 0 then 1 else 0 end) as ever_active,
        sum(case when is_active then 1 else 0 end) as active,
        sum(case when active_days > 0 and not is_active then 1 else 0 end) as lapsed,
        sum(case when orders > 0 then 1 else 0 end) as buyers,
        sum(active_days) as active_days,
        sum(orders) as orders,
        sum(revenue) as revenue
    from {{ ref('customers') }}

),

inputs as (

    select count(*) as customers
    from {{ ref('clean_customers') }}
    -- without data there is no as-of date, and no mart has rows
    where exists (select 1 from {{ ref('int_as_of') }})

),

cltv as (

    select *
    from {{ ref('cltv') }}
    where dimension = 'all'

),

numbered_months as (

    select
        *,
        row_number() over (partition by cohort_month order by months_since desc) as from_last
    from {{ ref('cohort_retention') }}

),

cohorts as (

    select
        sum(case when months_since = 0 then customers_in_cohort else 0 end) as buyers,
        sum(orders) as orders,
        sum(case when from_last = 1 then cumulative_revenue else 0 end) as revenue
    from numbered_months

),

numbered_periods as (

    select
        period_grain,
        customers_at_end,
        row_number() over (partition by period_grain order by period_start desc) as from_last
    from {{ ref('retention') }}
    where dimension = 'all'

),

-- the minimum and the maximum over the grains, which must all be the same
closes as (

    select
        min(customers_at_end) as least_active,
        max(customers_at_end) as most_active
    from numbered_periods
    where from_last = 1

),

-- one row: each number from the mart customers, and the same from another mart
joined as (

    select
        customers.*,
        inputs.customers as inputs_customers,
        cltv.customers as cltv_customers,
        cltv.customers_lapsed as cltv_lapsed,
        cltv.historic_revenue as cltv_revenue,
        cohorts.buyers as cohorts_buyers,
        cohorts.orders as cohorts_orders,
        cohorts.revenue as cohorts_revenue,
        closes.least_active as retention_least_active,
        closes.most_active as retention_most_active,
        -- rounded to a whole number: a double would not survive the cast to 14 decimals below
        cast(round(cltv.lifetime_customer_years * 365.25) as bigint) as cltv_active_days
    from customers
    cross join inputs
    cross join cohorts
    cross join closes
    left join cltv on true

),

compared as (

    {% for here, elsewhere in [
        ('customers', 'inputs_customers'),
        ('ever_active', 'cltv_customers'),
        ('lapsed', 'cltv_lapsed'),
        ('active_days', 'cltv_active_days'),
        ('revenue', 'cltv_revenue'),
        ('buyers', 'cohorts_buyers'),
        ('orders', 'cohorts_orders'),
        ('revenue', 'cohorts_revenue'),
        ('active', 'retention_least_active'),
        ('active', 'retention_most_active'),
    ] %}
    {{ 'union all' if not loop.first }}
    select
        '{{ here }} = {{ elsewhere }}' as broken_identity,
        cast({{ here }} as decimal(38, 14)) as in_customers,
        cast({{ elsewhere }} as decimal(38, 14)) as elsewhere
    from joined
    {% endfor %}

)

select *
from compared
where coalesce(in_customers, 0) != coalesce(elsewhere, 0)
