{#-
    How a customer's monthly amount changed between two closes. A fall to 0 is churn, not contraction; a return from 0
    is a reactivation, not expansion. Both amounts are in the reporting currency, at the same rate.
-#}

{# The amount at the start, where the customer left. #}
{% macro revenue_lost(at_start, at_end) -%}
    case when {{ at_end }} = 0 then {{ at_start }} else 0 end
{%- endmacro %}

{# The decrease of the amount of a customer who stayed. #}
{% macro revenue_contraction(at_start, at_end) -%}
    case when {{ at_end }} > 0 and {{ at_start }} > {{ at_end }} then {{ exact_difference(at_start, at_end) }} else 0 end
{%- endmacro %}

{# The increase of the amount of a customer who stayed. #}
{% macro revenue_expansion(at_start, at_end) -%}
    case when {{ at_start }} > 0 and {{ at_end }} > {{ at_start }} then {{ exact_difference(at_end, at_start) }} else 0 end
{%- endmacro %}

{# Revenue lost as a percentage of the revenue at the start; NULL where that is 0. #}
{% macro revenue_churn_pct(at_start, lost) -%}
    {{ percentage(lost, at_start) }}
{%- endmacro %}

{# GRR: revenue retained, without expansion, as a percentage of the revenue at the start. #}
{% macro gross_revenue_retention_pct(at_start, lost, contraction) -%}
    {{ percentage('(' ~ at_start ~ ' - ' ~ lost ~ ' - ' ~ contraction ~ ')', at_start) }}
{%- endmacro %}

{# NRR: revenue retained, with expansion, as a percentage of the revenue at the start. #}
{% macro net_revenue_retention_pct(at_start, lost, contraction, expansion) -%}
    {{ percentage('(' ~ at_start ~ ' - ' ~ lost ~ ' - ' ~ contraction ~ ' + ' ~ expansion ~ ')', at_start) }}
{%- endmacro %}
