/*
How long may a customer be silent before they are called lost? For choosing activity_window_days.

One row per window of so many days: the current setting, candidates (the parameter candidate_windows), and those that
cover 25, 50, … 99 % of the gaps, which are the distribution of the gaps.

A gap is the days from one order day of a customer to the next. Orders that count, several on a day are one. From
their first contract on a customer is judged by contracts alone: its first day ends the last gap as an order does, and
later orders are left out.
An order on day d keeps its customer active on d to d + window - 1, and an order on d + window still joins up. So a gap
within the window is covered. A longer one is a lapse, which begins on d + window; so is a silence that is not over yet
and has lasted for the window. The window is right if few who are called lost come back, and not longer than that needs:
a loss is only seen when the window is over.

What has not ended yet. A silence that still lasts may end tomorrow, so the share of all lapses that came back so far
(lapses_returned of lapses; lapses_open have not) is too low, and the more so for recent lapses and long windows.
returned_pct therefore looks at lapses that began at least follow_up_days (a parameter) before the as-of date, and asks
whether they came back within follow_up_days: all have had the same chance. It is NULL where there is none. For the
same reason gaps_covered_pct is a little high: of gaps that began lately only the short ones have ended.
days_to_return is the median, from the lapse to the return, of those behind returned_pct: never above follow_up_days.

Parameters: candidate_windows, follow_up_days. See docs/analyses.md.
*/
{{ config(group='metrics') }}
{%- set given = parameters({
    'candidate_windows': ['whole numbers', [15, 30, 45, 60, 90, 120, 180, 270, 365]],
    'follow_up_days': ['whole number', 180],
}) %}
{%- set setting_days = setting('activity_window_days') %}

with

orders as (

    select * from {{ ref('int_orders') }}

),

subscriptions as (

    select * from {{ ref('int_subscriptions') }}

),

as_of as (

    select * from {{ ref('int_as_of') }}

),

first_contracts as (

    select
        customer_key,
        min(started_on) as first_contract_on
    from subscriptions
    group by customer_key

),

order_days as (

    select distinct
        orders.customer_key,
        orders.ordered_on,
        first_contracts.first_contract_on
    from orders
    left join first_contracts on orders.customer_key = first_contracts.customer_key
    where
        first_contracts.first_contract_on is null
        or orders.ordered_on < first_contracts.first_contract_on

),

silences as (

    select
        ordered_on,
        coalesce(
            lead(ordered_on) over (partition by customer_key order by ordered_on),
            first_contract_on
        ) as back_on
    from order_days

),

-- gap_days is NULL while the silence lasts
gaps as (

    select
        {{ days_between('silences.ordered_on', 'silences.back_on') }} as gap_days,
        {{ days_between('silences.ordered_on', 'as_of.as_of_date') }} as age_days
    from silences
    cross join as_of

),

windows as (

    select
        {{ setting_days }} as window_days,
        'current setting' as window_is
    {%- for days in given.candidate_windows | unique if days != setting_days %}
    union all
    select
        {{ days }} as window_days,
        'candidate' as window_is
    {%- endfor %}
    {%- for percent in [25, 50, 75, 90, 95, 99] %}
    union all
    select
        percentile_disc({{ percent / 100 }}) within group (order by gap_days) as window_days,
        '{{ percent }} % of gaps' as window_is
    from gaps
    {%- endfor %}

),

judged as (

    select
        windows.window_days,
        windows.window_is,
        gaps.gap_days,
        gaps.gap_days <= windows.window_days as is_covered,
        gaps.age_days >= windows.window_days and coalesce(gaps.gap_days > windows.window_days, true) as is_lapse,
        gaps.age_days >= windows.window_days + {{ given.follow_up_days }} as is_followed_up,
        gaps.gap_days - windows.window_days as days_to_return
    from windows
    cross join gaps
    -- where no gap has ended, no window covers a share of them
    where windows.window_days is not null

),

counted as (

    select
        window_days,
        window_is,
        count(gap_days) as gaps,
        count(case when is_covered then 1 end) as gaps_covered,
        count(case when is_lapse then 1 end) as lapses,
        count(case when is_lapse and days_to_return is not null then 1 end) as lapses_returned,
        count(case when is_lapse and is_followed_up then 1 end) as lapses_followed_up,
        count(case when is_lapse and is_followed_up and days_to_return <= {{ given.follow_up_days }} then 1 end)
            as lapses_followed_up_returned,
        percentile_cont(0.5) within group (
            order by
                case
                    when is_lapse and is_followed_up and days_to_return <= {{ given.follow_up_days }}
                        then days_to_return
                end
        ) as days_to_return
    from judged
    group by window_days, window_is

)

select
    window_days,
    window_is,
    {{ percentage('gaps_covered', 'gaps') }} as gaps_covered_pct,
    lapses,
    {{ percentage('lapses_followed_up_returned', 'lapses_followed_up') }} as returned_pct,
    days_to_return,
    gaps,
    gaps_covered,
    lapses_returned,
    lapses - lapses_returned as lapses_open,
    lapses_followed_up,
    lapses_followed_up_returned,
    {{ given.follow_up_days }} as follow_up_days
from counted
order by window_days, window_is
