/*
Which segments moved the Net Promoter Score between two periods?

One row for the total and one per segment of a dimension. effect is the segment's part in the change of the overall
score, in points; the effects add up to that change. It has two parts:
    rate_effect   the segment's responses are better (or worse) than before;
    mix_effect    the segment has a larger (or smaller) share of the responses, which are better or worse than the
                  overall score. It can move the score even if no customer changed their mind.
A segment without responses in one period has no score there; the other period's score is used, so that it only has a
mix effect. Without any responses in one of the periods there is no change to explain: NULL.

An effect shows where the change is, not why, nor whether it is more than chance: see compare_nps.

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
