/*
Which segments moved the Net Promoter Score from one period to another?

One row for the whole and one per segment of a dimension. effect is the segment's part in the change of the whole's
score, in points; the effects add up to that change. It has two parts:
    rate_effect   the segment's answers are better (or worse) than before;
    mix_effect    the segment has a larger (or smaller) share of the answers, and they are better or worse than the
                  whole's. It may move the score though nobody changed their mind.
A segment without answers in one period has no score there; the other period's stands in, so its coming or going is mix
alone. Without any answers in one of the periods there is no change to explain: NULL.

An effect says where the change is, not why, and not whether it is more than chance: see compare_nps.

Parameters: period_grain, period_start (after), compared_with (before), dimension. See docs/analyses.md.
*/
{{ config(group='metrics') }}
{%- set given = parameters({
    'period_grain': ['one of', setting('period_grains')],
    'period_start': ['day', none],
    'compared_with': ['day', none],
    'dimension': ['one of', survey_dimensions() + ['all']],
}) %}
{{ what_moved(ref('nps'), 'nps', 'responses', given) }}
