{# The last day on which an order keeps its customer active: the order's own day is the first of the window. #}
{% macro active_until(ordered_on) -%}
    {{ add_days(ordered_on, var('activity_window_days') - 1) }}
{%- endmacro %}

{# Active days of an interval within [first, last], both included; 0 where they don't meet. #}
{% macro active_days_within(active_from, active_to, first, last) -%}
    case
        when least({{ active_to }}, {{ last }}) >= greatest({{ active_from }}, {{ first }})
            then {{ days_between('greatest(' ~ active_from ~ ', ' ~ first ~ ')', 'least(' ~ active_to ~ ', ' ~ last ~ ')') }} + 1
        else 0
    end
{%- endmacro %}
