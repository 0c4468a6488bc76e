{#
    The first day of the period of `grain` that contains `date`. Weeks are ISO weeks, from Monday; quarters and years
    follow fiscal_year_start_month.
#}
{% macro period_start(grain, date) -%}
    {%- set shift = (setting('fiscal_year_start_month') - 1) if grain in ['quarter', 'year'] else 0 -%}
    {%- if shift -%}
        {{ add_months(first_day_of(grain, add_months(date, -shift)), shift) }}
    {%- else -%}
        {{ first_day_of(grain, date) }}
    {%- endif -%}
{%- endmacro %}

{# The last day of the period of `grain` that starts on `start`. #}
{% macro period_end(grain, start) -%}
    {%- if grain == 'week' -%}
        {{ add_days(start, 6) }}
    {%- else -%}
        {{ add_days(add_months(start, {'month': 1, 'quarter': 3, 'year': 12}[grain]), -1) }}
    {%- endif -%}
{%- endmacro %}

{# The last day of the calendar month that contains `date`. #}
{% macro month_end(date) -%}
    {{ add_days(add_months(first_day_of('month', date), 1), -1) }}
{%- endmacro %}

{# Whether a period is burn-in: it starts less than one activity window after the first order. #}
{% macro is_burn_in(period_start, first_order_on) -%}
    coalesce({{ period_start }} < {{ add_days(first_order_on, setting('activity_window_days')) }}, false)
{%- endmacro %}
