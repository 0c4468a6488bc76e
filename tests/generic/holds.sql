{#- Rows for which an expression is false; where it is NULL there is nothing to compare. -#}
{% test holds(model, expression) %}

select *
from {{ model }}
where not ({{ expression }})

{% endtest %}
