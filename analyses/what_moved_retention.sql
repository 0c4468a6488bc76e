/*
Which segments moved the customer retention rate from one period to another?

One row for the whole and one per segment of a dimension. effect is the segment's part in the change of the whole's
rate, in percentage points; the effects add up to that change. It has two parts:
    rate_effect   the segment's customers stay more (or less) than before;
    mix_effect    the segment has a larger (or smaller) share of the customers at the start, and they stay more or less
                  than customers on average do.
A segment without customers at the start of one period has no rate there; the other period's stands in, so its coming
or going is mix alone. Without customers at the start at all in one of the periods there is no change to explain: NULL.

An effect says where the change is, not why, and not whether it is more than chance: see the intervals in retention.

Parameters: period_grain, period_start (after), compared_with (before), dimension. See docs/analyses.md.
*/
{{ config(group='metrics') }}
{%- set given = parameters({
    'period_grain': ['one of', setting('period_grains')],
    'period_start': ['day', none],
    'compared_with': ['day', none],
    'dimension': ['one of', setting('segment_dimensions') + ['all']],
}) %}
{{ what_moved(ref('retention'), 'retention_rate_pct', 'customers_at_start', given) }}
