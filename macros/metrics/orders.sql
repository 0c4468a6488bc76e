{# Whether an order counts: completed, and not refunded in full. A free order that was completed counts. #}
{% macro order_counts(status, amount, refunded_amount) -%}
    {{ status }} = 'completed' and not ({{ amount }} > 0 and {{ refunded_amount }} = {{ amount }})
{%- endmacro %}

{#
    What an order brought in, in the reporting currency: (amount - refunded_amount) x rate, exact.
    The factors are widened first: a product of two decimals of up to 18 digits would be held in 18.
#}
{% macro net_amount(amount, refunded_amount, rate) -%}
    cast({{ amount }} - {{ refunded_amount }} as decimal(38, 4)) * cast({{ rate }} as decimal(38, 10))
{%- endmacro %}

{# A contract's monthly amount in the reporting currency, exact (see net_amount). #}
{% macro reporting_amount(amount, rate) -%}
    {{ net_amount(amount, 0, rate) }}
{%- endmacro %}
