{#-
    Customer retention rate (CRR) and churn rate between two closes, from the customers at the start (S), at the end
    (E) and acquired in between (N).
-#}

{# CRR = ((E - N) / S) x 100; NULL where S is 0. #}
{% macro retention_rate_pct(at_start, at_end, acquired) -%}
    {{ percentage('(' ~ at_end ~ ' - ' ~ acquired ~ ')', at_start) }}
{%- endmacro %}

{# churn = (lost / S) x 100; NULL where S is 0. Wherever S > 0, CRR + churn = 100. #}
{% macro churn_rate_pct(at_start, lost) -%}
    {{ percentage(lost, at_start) }}
{%- endmacro %}
