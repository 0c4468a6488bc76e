{#-
    Rows of a model for which an identity is not true, with that identity. NULL counts as broken, so an identity of
    values that may be undefined has to allow it.
-#}
{% test holds(model, expressions) %}

{% for expression in expressions %}
{{ 'union all' if not loop.first }}
select
    {{ dbt.string_literal(dbt.escape_single_quotes(expression)) }} as broken_identity,
    *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endfor %}

{% endtest %}
