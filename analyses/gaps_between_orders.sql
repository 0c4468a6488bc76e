/*
After how many days without an order is a customer lost? For choosing activity_window_days.

One row per window length in days: the current setting, candidates (the parameter candidate_windows), and those that
cover 25, 50, … 99 % of the gaps, which are the distribution of the gaps.

A gap is the number of days from one order day of a customer to the next. Only orders that count are used, and several
on a day are one. From the first contract on only contracts count: its first day ends the last gap like an order, and
later orders are left out.
An order on day d keeps its customer active from d to d + window - 1, and an order on d + window continues the interval.
So a gap within the window is covered. A longer one is a lapse, which begins on d + window; so is a gap that has not
ended yet and is at least as long as the window. The window should be long enough that few lapsed customers return, and
no longer, because a loss only shows when the window is over.

Gaps that have not ended. They may end tomorrow, so the share of all lapses with a return so far (lapses_returned of
lapses; lapses_open have none) is too low, especially for recent lapses and long windows. returned_pct therefore only
uses lapses that began at least follow_up_days (a parameter) before the as-of date, and counts returns within
follow_up_days, so that all had the same chance. It is NULL if there are none. For the same reason gaps_covered_pct is
slightly high: among recent gaps only the short ones have ended.
days_to_return is the median from lapse to return of the returns in returned_pct: never above follow_up_days.

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
        customer_number,
        min(started_on) as first_contract_on
    from subscriptions
    group by customer_number

),

order_days as (

    select distinct
        orders.customer_number,
        orders.ordered_on,
        first_contracts.first_contract_on
    from orders
    left join first_contracts on orders.customer_number = first_contracts.customer_number
    where
        first_contracts.first_contract_on is null
        or orders.ordered_on < first_contracts.first_contract_on

),

gap_starts as (

    select
        ordered_on,
        coalesce(
            lead(ordered_on) over (partition by customer_number order by ordered_on),
            first_contract_on
        ) as back_on
    from order_days

),

-- gap_days is NULL if the gap has not ended
gaps as (

    select
        {{ days_between('gap_starts.ordered_on', 'gap_starts.back_on') }} as gap_days,
        {{ days_between('gap_starts.ordered_on', 'as_of.as_of_date') }} as age_days
    from gap_starts
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

classified as (

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
    -- if no gap has ended, there are no windows for percentages
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
    from classified
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
