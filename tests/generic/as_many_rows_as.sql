{#-
    The numbers of rows of a model and of the relation that it is made of, where they differ. A view that only filters
    rows, and joins to them what they have at most one of, then has the key of those rows, which is tested there:
    testing it again would cost more than the view. condition: of the rows of `made_of` beside the row of `beside` that
    the model has.
-#}
{% test as_many_rows_as(model, made_of, beside, condition) %}

with

made as (

    select count(*) as rows_made
    from {{ model }}

),

expected as (

    select count(*) as rows_expected
    from {{ made_of }}
    cross join {{ beside }}
    where {{ condition }}

)

select
    made.rows_made,
    expected.rows_expected
from made
cross join expected
where made.rows_made != expected.rows_expected

{% endtest %}
