{#-
    Customer lifetime value = average purchase value x average purchase frequency x average customer lifespan of one
    population. A model of averages, not a forecast for one customer.
-#}

{# Days as Julian years. #}
{% macro days_to_years(days) -%}
    {{ as_double(days) }} / 365.25e0
{%- endmacro %}

{# Mean revenue per order; NULL without orders. #}
{% macro average_purchase_value(revenue, orders) -%}
    {{ ratio(revenue, orders) }}
{%- endmacro %}

{# Orders per active customer-year; NULL without orders or without active days. #}
{% macro average_purchase_frequency(orders, active_customer_years) -%}
    {{ ratio('nullif(' ~ orders ~ ', 0)', active_customer_years) }}
{%- endmacro %}

{#
    Years at risk divided by lapses: the maximum-likelihood mean of lifetimes when some have not ended. The average
    of lifetimes so far would undervalue customers who stay. NULL where nobody lapsed.
    Lawless, J. F. (2003), Statistical Models and Methods for Lifetime Data, 2nd ed., section 4.1.
#}
{% macro average_lifespan_years(lifetime_customer_years, customers_lapsed) -%}
    {{ ratio(lifetime_customer_years, customers_lapsed) }}
{%- endmacro %}

{# CLTV in the reporting currency; NULL where one of the three factors is NULL. #}
{% macro cltv(value, frequency, lifespan) -%}
    {{ value }} * {{ frequency }} * {{ lifespan }}
{%- endmacro %}
