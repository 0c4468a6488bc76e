{#-
    Ratios are unrounded doubles, and NULL where the denominator is 0: undefined is neither 0 nor 100.
-#}

{# numerator / denominator. #}
{% macro ratio(numerator, denominator) -%}
    {{ as_double(numerator) }} / nullif({{ as_double(denominator) }}, 0)
{%- endmacro %}

{# numerator / denominator x 100. #}
{% macro percentage(numerator, denominator) -%}
    100 * {{ ratio(numerator, denominator) }}
{%- endmacro %}

{# The 97.5 % quantile of the standard normal distribution, for 95 % intervals. #}
{% macro z_score() -%}
    1.959964e0
{%- endmacro %}

{#
    The Wilson score interval of a proportion, in percent. bound: low or high. NULL without trials.
    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference. JASA 22, 209-212.
    30 of 40 give 59.81 to 85.81.
#}
{% macro wilson_bound(successes, trials, bound) -%}
    {%- set n = as_double(trials) -%}
    {%- set p = '(' ~ successes ~ ' / ' ~ n ~ ')' -%}
    {%- set z = z_score() -%}
    case
        when {{ trials }} > 0
            then 100 * (
                {{ p }} + {{ z }} * {{ z }} / (2 * {{ n }})
                {{ '-' if bound == 'low' else '+' }}
                {{ z }} * sqrt({{ p }} * (1 - {{ p }}) / {{ n }} + {{ z }} * {{ z }} / (4 * {{ n }} * {{ n }}))
            ) / (1 + {{ z }} * {{ z }} / {{ n }})
    end
{%- endmacro %}

{# The two-sided p-value of a standard normal test statistic, to within 0.0000002. #}
{% macro two_sided_p_value(z) -%}
    {{ erfc('(abs(' ~ z ~ ') / sqrt(2e0))') }}
{%- endmacro %}

{# Whether a cell has enough responses to be shown. #}
{% macro is_reportable(responses) -%}
    {{ responses }} >= {{ setting('minimum_responses') }}
{%- endmacro %}
