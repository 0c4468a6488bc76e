{#-
    Customer lifetime value = average purchase value x average purchase frequency x average customer lifespan, over
    one population. A model of averages, not a forecast for one customer.
-#}

{# A Julian year. #}
{% macro days_to_years(days) -%}
    {{ as_double(days) }} / 365.25e0
{%- endmacro %}

{# Revenue of one order; NULL without orders. #}
{% macro average_purchase_value(revenue, orders) -%}
    {{ ratio(revenue, orders) }}
{%- endmacro %}

{# Orders in a year of being a customer; NULL without orders or without active days. #}
{% macro average_purchase_frequency(orders, active_customer_years) -%}
    {{ ratio('nullif(' ~ orders ~ ', 0)', active_customer_years) }}
{%- endmacro %}

{#
    Years at risk over ends: the maximum-likelihood mean of a lifetime when some are still running. Averaging what
    has been seen so far would undervalue everyone who stays. NULL where nobody lapsed.
    Lawless, J. F. (2003), Statistical Models and Methods for Lifetime Data, 2nd ed., section 4.1.
#}
{% macro average_lifespan_years(lifetime_customer_years, customers_lapsed) -%}
    {{ ratio(lifetime_customer_years, customers_lapsed) }}
{%- endmacro %}

{# NULL where one of the three is. #}
{% macro cltv(value, frequency, lifespan) -%}
    {{ value }} * {{ frequency }} * {{ lifespan }}
{%- endmacro %}
