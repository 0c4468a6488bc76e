{#-
    Rows of a model for which one of its identities is false, each with the identity that it breaks. One that is NULL
    is broken too: where a value may be undefined, the expression says so.
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
