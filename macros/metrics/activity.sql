{# The last day on which an order keeps its customer active; the window starts with the day of the order. #}
{% macro active_until(ordered_on) -%}
    {{ add_days(ordered_on, setting('activity_window_days') - 1) }}
{%- endmacro %}

{# The days of an activity interval, both ends included. #}
{% macro active_days(active_from, active_to) -%}
    {{ days_between(active_from, active_to) }} + 1
{%- endmacro %}

{# The days of an activity interval from `first` on; 0 where it ended before. #}
{% macro active_days_since(first, active_from, active_to) -%}
    greatest({{ active_days('greatest(' ~ active_from ~ ', ' ~ first ~ ')', active_to) }}, 0)
{%- endmacro %}
