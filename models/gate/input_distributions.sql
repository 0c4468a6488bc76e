with

remaining_orders as (

    {{ remaining_rows(ref('staged_orders'), 'orders', 'order_id') }}

),

remaining_surveys as (

    {{ remaining_rows(ref('staged_surveys'), 'surveys', 'response_id') }}

),

remaining_customers as (

    {{ remaining_rows(ref('staged_customers'), 'customers', 'customer_id') }}

),

orders as (

    select
        source_system,
        currency_code,
        amount,
        ordered_on,
        {{ first_day_of('month', 'ordered_on') }} as month_start,
        -- of the reporting time zone, where a date alone begins, or of UTC
        case
            when ordered_at = {{ local_midnight('ordered_on') }} then 1
            when ordered_at = cast(cast(ordered_at as date) as timestamp) then 1
            else 0
        end as at_midnight
    from remaining_orders
    where ordered_on is not null

),

answers as (

    select
        source_system,
        survey_type,
        channel,
        score,
        scale_min,
        scale_max,
        responded_on,
        {{ first_day_of('month', 'responded_on') }} as month_start
    from remaining_surveys
    where responded_on is not null

),

customers as (

    select
        source_system,
        country_code,
        language_code,
        acquisition_channel,
        {{ first_day_of('month', 'signed_up_on') }} as month_start
    from remaining_customers
    where signed_up_on is not null

),

---------- rows per month, compared with the median of the twelve months before

monthly as (

    select
        'raw_orders' as input,
        'orders_per_month' as measure,
        source_system,
        month_start,
        count(*) as things
    from orders
    group by source_system, month_start
    union all
    select
        'raw_surveys' as input,
        'answers_per_month' as measure,
        source_system,
        month_start,
        count(*) as things
    from answers
    group by source_system, month_start

),

spans as (

    select
        input,
        measure,
        source_system,
        min(month_start) as first_month,
        max(month_start) as last_month
    from monthly
    group by input, measure, source_system

),

days_of_spans as (

    {{ each_day('spans', ['input', 'measure', 'source_system', 'last_month'], 'first_month', 'last_month') }}

),

-- including months without any
every_month as (

    select
        days_of_spans.input,
        days_of_spans.measure,
        days_of_spans.source_system,
        days_of_spans.day_on as month_start,
        days_of_spans.last_month,
        coalesce(monthly.things, 0) as things
    from days_of_spans
    left join monthly
        on
            days_of_spans.measure = monthly.measure
            and days_of_spans.source_system = monthly.source_system
            and days_of_spans.day_on = monthly.month_start
    where days_of_spans.day_on = {{ first_day_of('month', 'days_of_spans.day_on') }}

),

volumes as (

    select
        each_one.input,
        each_one.source_system,
        each_one.measure,
        each_one.month_start,
        {{ month_name('each_one.month_start') }} as item,
        max(each_one.things) as found,
        percentile_cont(0.5) within group (order by earlier.things) as expected,
        count(*) as history
    from every_month as each_one
    inner join every_month as earlier
        on
            each_one.measure = earlier.measure
            and each_one.source_system = earlier.source_system
            and each_one.month_start > earlier.month_start
            and {{ add_months('each_one.month_start', -12) }} <= earlier.month_start
    -- the last month may be incomplete
    where each_one.month_start < each_one.last_month
    group by each_one.input, each_one.source_system, each_one.measure, each_one.month_start

),

---------- shares in a month, compared with all months before

flags as (
    {% for measure, input, table, condition in [
        ('missing_country', 'raw_customers', 'customers', 'country_code is null'),
        ('missing_language', 'raw_customers', 'customers', 'language_code is null'),
        ('missing_acquisition_channel', 'raw_customers', 'customers', 'acquisition_channel is null'),
        ('missing_survey_channel', 'raw_surveys', 'answers', 'channel is null'),
        ('orders_at_midnight', 'raw_orders', 'orders', 'at_midnight = 1'),
    ] %}
    {{ 'union all' if not loop.first }}
    select
        '{{ input }}' as input,
        '{{ measure }}' as measure,
        source_system,
        month_start,
        count(*) as things,
        sum(case when {{ condition }} then 1 else 0 end) as hits
    from {{ table }}
    group by source_system, month_start
    {% endfor %}
),

flags_before as (

    select
        *,
        sum(things) over months_before as history,
        sum(hits) over months_before as hits_before
    from flags
    window months_before as (
        partition by measure, source_system
        order by month_start
        rows between unbounded preceding and 1 preceding
    )

),

shares as (

    select
        input,
        source_system,
        measure,
        month_start,
        {{ month_name('month_start') }} as item,
        {{ ratio('hits', 'things') }} as found,
        {{ ratio('hits_before', 'history') }} as expected,
        things,
        history
    from flags_before
    where history > 0

),

overall_shares as (

    select
        input,
        source_system,
        measure,
        {{ ratio('sum(hits)', 'sum(things)') }} as found,
        sum(things) as things
    from flags
    -- a column that is always empty is left out on purpose
    group by input, source_system, measure
    having sum(hits) < sum(things)

),

---------- scales of a survey that replaced another

scales as (

    select
        source_system,
        survey_type,
        scale_min,
        scale_max,
        coalesce(channel, '') as channel,
        min(responded_on) as first_on,
        max(responded_on) as last_on,
        count(*) as things
    from answers
    group by source_system, survey_type, coalesce(channel, ''), scale_min, scale_max

),

scale_changes as (

    select
        latter.source_system,
        {{ first_day_of('month', 'latter.first_on') }} as month_start,
        latter.survey_type || ' ' || former.scale_min || ' to ' || former.scale_max
        || ', from ' || latter.first_on || ' ' || latter.scale_min || ' to ' || latter.scale_max as item,
        latter.things,
        former.things as history
    from scales as latter
    inner join scales as former
        on
            latter.source_system = former.source_system
            and latter.survey_type = former.survey_type
            and latter.channel = former.channel
            and latter.first_on > former.first_on
            and (latter.scale_min != former.scale_min or latter.scale_max != former.scale_max)
            and latter.last_on > former.last_on
            and former.last_on < {{ add_days('latter.first_on', 30) }}

),

---------- mean order values, by currency

values_of_days as (

    select
        source_system,
        currency_code,
        ordered_on,
        month_start,
        count(*) as things,
        sum(cast(amount as decimal(38, 4))) as amount
    from orders
    group by source_system, currency_code, ordered_on, month_start

),

month_values as (

    select
        source_system,
        {{ shown_currency('currency_code') }} as currency,
        currency_code,
        month_start,
        sum(things) as things,
        sum(amount) as amount
    from values_of_days
    group by source_system, currency_code, month_start

),

mean_values as (

    select
        each_one.source_system,
        each_one.month_start,
        each_one.currency || ' ' || {{ month_name('each_one.month_start') }} as item,
        {{ ratio('max(each_one.amount)', 'max(each_one.things)') }} as found,
        {{ ratio('sum(earlier.amount)', 'sum(earlier.things)') }} as expected,
        max(each_one.things) as things,
        sum(earlier.things) as history
    from month_values as each_one
    inner join month_values as earlier
        on
            each_one.source_system = earlier.source_system
            and each_one.currency_code = earlier.currency_code
            and each_one.month_start > earlier.month_start
            and {{ add_months('each_one.month_start', -12) }} <= earlier.month_start
    group by each_one.source_system, each_one.currency, each_one.currency_code, each_one.month_start

),

daily_rates as (

    {{ daily_rates(ref('staged_exchange_rates'), last_rate_day()) }}

),

values_with_rates as (

    select
        values_of_days.source_system,
        values_of_days.currency_code,
        values_of_days.things,
        values_of_days.amount,
        {{ rate_in_force('values_of_days.currency_code', 'daily_rates.rate_to_reporting') }} as rate_to_reporting
    from values_of_days
    {{ left_join_daily_rates('values_of_days', 'ordered_on') }}

),

currency_values as (

    select
        source_system,
        currency_code,
        sum(things) as things,
        sum({{ as_double('amount') }} * {{ as_double('rate_to_reporting') }}) as amount
    from values_with_rates
    group by source_system, currency_code

),

source_values as (

    select
        source_system,
        sum(things) as things,
        sum(amount) as amount
    from currency_values
    group by source_system

),

values_beside_others as (

    select
        one.source_system,
        {{ shown_currency('one.currency_code') }} as item,
        {{ ratio('one.amount', 'one.things') }} as found,
        {{ ratio('(total.amount - one.amount)', '(total.things - one.things)') }} as expected,
        one.things,
        total.things - one.things as history
    from currency_values as one
    inner join source_values as total on one.source_system = total.source_system

),

---------- the share of a new currency in its first month

month_totals as (

    select
        source_system,
        month_start,
        sum(things) as things,
        sum(sum(things)) over (
            partition by source_system
            order by month_start
            rows between unbounded preceding and 1 preceding
        ) as history
    from month_values
    group by source_system, month_start

),

first_months as (

    select
        source_system,
        currency_code,
        min(month_start) as month_start
    from month_values
    group by source_system, currency_code

),

new_currencies as (

    select
        month_values.source_system,
        month_values.month_start,
        month_values.currency || ' ' || {{ month_name('month_values.month_start') }} as item,
        {{ ratio('month_values.things', 'month_totals.things') }} as found,
        month_totals.things,
        month_totals.history
    from first_months
    inner join month_values
        on
            first_months.source_system = month_values.source_system
            and first_months.currency_code = month_values.currency_code
            and first_months.month_start = month_values.month_start
    inner join month_totals
        on
            first_months.source_system = month_totals.source_system
            and first_months.month_start = month_totals.month_start
    where month_totals.history > 0

),

---------- the share of the most frequent score

scores as (

    select
        source_system,
        month_start,
        score,
        count(*) as things
    from answers
    where survey_type = 'nps'
    group by source_system, month_start, score

),

most_given as (

    select
        source_system,
        month_start,
        {{ month_name('month_start') }} as item,
        {{ ratio('max(things)', 'sum(things)') }} as found,
        sum(things) as things
    from scores
    group by source_system, month_start

),

---------- days without orders, compared with the same weekday in the four weeks before and after

daily as (

    select
        source_system,
        ordered_on,
        count(*) as things
    from orders
    group by source_system, ordered_on

),

day_spans as (

    select
        source_system,
        min(ordered_on) as first_on,
        max(ordered_on) as last_on
    from daily
    group by source_system

),

every_day as (

    {{ each_day('day_spans', ['source_system'], 'first_on', 'last_on') }}

),

empty_days as (

    select
        every_day.source_system,
        every_day.day_on
    from every_day
    left join daily
        on
            every_day.source_system = daily.source_system
            and every_day.day_on = daily.ordered_on
    where daily.ordered_on is null

),

offsets as (
    {% for weeks in [-4, -3, -2, -1, 1, 2, 3, 4] %}
    {{ 'union all' if not loop.first }}
    select {{ 7 * weeks }} as days_away
    {% endfor %}
),

-- beside_on is a column, so that the join is an equality and does not compare every pair of days
days_beside as (

    select
        empty_days.source_system,
        empty_days.day_on,
        {{ add_days('empty_days.day_on', 'offsets.days_away') }} as beside_on
    from empty_days
    cross join offsets

),

missing_days as (

    select
        days_beside.source_system,
        {{ first_day_of('month', 'days_beside.day_on') }} as month_start,
        cast(days_beside.day_on as {{ dbt.type_string() }}) as item,
        {{ ratio('sum(coalesce(daily.things, 0))', 'count(*)') }} as expected,
        min(coalesce(daily.things, 0)) as things,
        count(*) as history
    from days_beside
    inner join every_day as neighbour
        on
            days_beside.source_system = neighbour.source_system
            and days_beside.beside_on = neighbour.day_on
    left join daily
        on
            neighbour.source_system = daily.source_system
            and neighbour.day_on = daily.ordered_on
    group by days_beside.source_system, days_beside.day_on

),

---------- all measures

measured as (

    select
        input,
        source_system,
        measure,
        month_start,
        item,
        found,
        expected,
        {{ ratio('found', 'expected') }} as compared,
        expected as things,
        history
    from volumes
    union all
    select
        input,
        source_system,
        measure,
        month_start,
        item,
        found,
        expected,
        found - expected as compared,
        things,
        history
    from shares
    union all
    select
        input,
        source_system,
        measure || '_overall' as measure,
        cast(null as date) as month_start,
        'all' as item,
        found,
        null as expected,
        found as compared,
        things,
        0 as history
    from overall_shares
    union all
    select
        'raw_surveys' as input,
        source_system,
        'scale_change' as measure,
        month_start,
        item,
        1 as found,
        0 as expected,
        1 as compared,
        things,
        history
    from scale_changes
    union all
    select
        'raw_orders' as input,
        source_system,
        'mean_order_value' as measure,
        month_start,
        item,
        found,
        expected,
        {{ ratio('found', 'expected') }} as compared,
        things,
        history
    from mean_values
    union all
    select
        'raw_orders' as input,
        source_system,
        'mean_order_value_of_currency' as measure,
        cast(null as date) as month_start,
        item,
        found,
        expected,
        {{ ratio('found', 'expected') }} as compared,
        things,
        history
    from values_beside_others
    where history > 0
    union all
    select
        'raw_orders' as input,
        source_system,
        'new_currency' as measure,
        month_start,
        item,
        found,
        0 as expected,
        found as compared,
        things,
        history
    from new_currencies
    union all
    select
        'raw_surveys' as input,
        source_system,
        'most_given_nps_score' as measure,
        month_start,
        item,
        found,
        null as expected,
        found as compared,
        things,
        0 as history
    from most_given
    union all
    select
        'raw_orders' as input,
        source_system,
        'day_without_orders' as measure,
        month_start,
        item,
        0 as found,
        expected,
        expected as compared,
        things,
        history
    from missing_days

),

dated as (

    select
        *,
        max(month_start) over (partition by input, source_system) as last_month
    from measured

)

select
    input,
    source_system,
    measure,
    item,
    coalesce({{ months_between('month_start', 'last_month') }}, 0) as months_ago,
    found,
    expected,
    compared,
    cast(things as bigint) as things,
    cast(history as bigint) as history
from dated
