{# Whether an order counts: completed, and not refunded in full. Completed free orders count. #}
{% macro order_counts(status, amount, refunded_amount) -%}
    {{ status }} = 'completed' and not ({{ amount }} > 0 and {{ refunded_amount }} = {{ amount }})
{%- endmacro %}

{# An order's net amount in the reporting currency: (amount - refunded_amount) x rate, exact. #}
{% macro net_amount(amount, refunded_amount, rate) -%}
    {{ in_reporting_currency(amount ~ ' - ' ~ refunded_amount, rate) }}
{%- endmacro %}
