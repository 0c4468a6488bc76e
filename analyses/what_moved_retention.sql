/*
Which segments moved the customer retention rate between two periods?

One row for the total and one per segment of a dimension. effect is the segment's part in the change of the overall
rate, in percentage points; the effects add up to that change. It has two parts:
    rate_effect   more (or fewer) of the segment's customers stay than before;
    mix_effect    the segment has a larger (or smaller) share of the customers at the start, of whom more or fewer stay
                  than overall.
A segment without customers at the start of one period has no rate there; the other period's rate is used, so that it
only has a mix effect. Without any customers at the start of one of the periods there is no change to explain: NULL.

An effect shows where the change is, not why, nor whether it is more than chance: see the intervals in retention.

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
