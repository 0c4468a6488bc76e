{#-
    Rows whose key is not unique, or has a NULL. A key without columns means that the model has at most one row.
    nullable: columns of the key that may be NULL.
-#}
{% test unique_key(model, columns, nullable=[]) %}

select
    {% for column in columns %}{{ column }}, {% endfor %}
    count(*) as rows_with_key
from {{ model }}
{% if columns %}group by {{ columns | join(', ') }}{% endif %}
having count(*) > 1 {% for column in columns if column not in nullable %}or {{ column }} is null {% endfor %}

{% endtest %}
