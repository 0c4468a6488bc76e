{#-
    What becomes of a customer's monthly amount between two closes. A fall to 0 is churn, not contraction; a return
    from 0 is a reactivation, not expansion. Amounts are in the reporting currency, both at the same rate.
-#}

{% macro revenue_lost(at_start, at_end) -%}
    case when {{ at_end }} = 0 then {{ at_start }} else 0 end
{%- endmacro %}

{% macro revenue_contraction(at_start, at_end) -%}
    case when {{ at_end }} > 0 and {{ at_start }} > {{ at_end }} then {{ exact_difference(at_start, at_end) }} else 0 end
{%- endmacro %}

{% macro revenue_expansion(at_start, at_end) -%}
    case when {{ at_start }} > 0 and {{ at_end }} > {{ at_start }} then {{ exact_difference(at_end, at_start) }} else 0 end
{%- endmacro %}

{# Revenue lost of the revenue at the start, in percent; NULL where that is 0. #}
{% macro revenue_churn_pct(at_start, lost) -%}
    {{ percentage(lost, at_start) }}
{%- endmacro %}

{# GRR: what is left of the revenue at the start, without any expansion, in percent. #}
{% macro gross_revenue_retention_pct(at_start, lost, contraction) -%}
    {{ percentage('(' ~ at_start ~ ' - ' ~ lost ~ ' - ' ~ contraction ~ ')', at_start) }}
{%- endmacro %}

{# NRR: what the customers of the start bring at the end, expansion included, in percent. #}
{% macro net_revenue_retention_pct(at_start, lost, contraction, expansion) -%}
    {{ percentage('(' ~ at_start ~ ' - ' ~ lost ~ ' - ' ~ contraction ~ ' + ' ~ expansion ~ ')', at_start) }}
{%- endmacro %}
