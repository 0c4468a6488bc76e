{#-
    Net Promoter Score. Reichheld, F. F. (2003), The one number you need to grow. Harvard Business Review 81(12).
    A score of 9 or 10 is a promoter, 7 or 8 a passive, 0 to 6 a detractor.
-#}

{% macro nps_group(score) -%}
    case
        when {{ score }} >= 9 then 'promoter'
        when {{ score }} >= 7 then 'passive'
        when {{ score }} >= 0 then 'detractor'
    end
{%- endmacro %}

{# promoters_pct - detractors_pct, -100 to 100; NULL without responses. #}
{% macro nps(promoters, detractors, responses) -%}
    {{ percentage('(' ~ promoters ~ ' - ' ~ detractors ~ ')', responses) }}
{%- endmacro %}

{# The variance of one response, which counts as 1, 0 or -1: p + d - (p - d)^2. #}
{% macro nps_variance(promoters, detractors, responses) -%}
    (
        {{ ratio('(' ~ promoters ~ ' + ' ~ detractors ~ ')', responses) }}
        - power({{ ratio('(' ~ promoters ~ ' - ' ~ detractors ~ ')', responses) }}, 2)
    )
{%- endmacro %}

{# In points. greatest(): rounding may give a variance just below 0 where all responses are the same. #}
{% macro nps_standard_error(promoters, detractors, responses) -%}
    case
        when {{ responses }} > 0
            then 100 * sqrt(greatest({{ nps_variance(promoters, detractors, responses) }}, 0) / {{ responses }})
    end
{%- endmacro %}

{#
    The adjusted Wald interval: 3 responses are added, 3/4 of one to promoters and 3/4 to detractors, so that a few
    equal responses don't look certain. bound: low or high, clipped to -100 and 100; NULL without responses.
    Agresti, A. & Min, Y. (2005), Simple improved confidence intervals for comparing matched proportions;
    the form for NPS: Rocks, B. (2016), Interval estimation for the Net Promoter Score. The American Statistician 70(4).
    1436 promoters and 342 detractors of 2746 give 37.18 to 42.41.
#}
{% macro nps_bound(promoters, detractors, responses, bound) -%}
    {%- set p, d, n = with_added_answers(promoters, detractors, responses) -%}
    case
        when {{ responses }} > 0
            then {{ 'greatest(-100' if bound == 'low' else 'least(100' }},
                {{ nps(p, d, n) }}
                {{ '-' if bound == 'low' else '+' }}
                {{ z_score() }} * {{ nps_standard_error(p, d, n) }})
    end
{%- endmacro %}

{# promoters, detractors and responses, with the 3 responses that the adjusted Wald interval adds. #}
{% macro with_added_answers(promoters, detractors, responses) -%}
    {{ return(['(' ~ promoters ~ ' + 0.75)', '(' ~ detractors ~ ' + 0.75)', '(' ~ responses ~ ' + 3)']) }}
{%- endmacro %}

{#
    Whether a response is used in its period, before the split into segments: all are, or with nps_responses
    latest_per_customer the last of each customer (a tie goes to the higher response_id, as text; all anonymous
    responses are used).
#}
{% macro is_answer_used(customer_number, period, responded_at, response_id) -%}
    {%- if setting('nps_responses') == 'all' -%}
    true
    {%- else -%}
    {{ customer_number }} is null
    or row_number() over (
        partition by {{ period | join(', ') }}, {{ customer_number }}
        order by {{ responded_at }} desc, {{ in_byte_order(response_id) }} desc
    ) = 1
    {%- endif -%}
{%- endmacro %}
