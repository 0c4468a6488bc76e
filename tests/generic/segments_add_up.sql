{#-
    Cells of the total to which the segments of a dimension don't add up, although everybody is in one segment of each.
    A dimension without rows fails, too.
    keys: the key columns of the total. measures: counts and sums. survey: whether channel is a dimension.
-#}
{% test segments_add_up(model, keys, measures, survey=false) %}

{%- set dimensions = survey_dimensions() if survey else setting('segment_dimensions') %}

with

whole as (

    select *
    from {{ model }}
    where dimension = 'all'

),

dimensions as (

    {{ 'select null as dimension where false' if not dimensions }}
    {%- for dimension in dimensions %}
    {{ 'union all' if not loop.first }}
    select '{{ dimension }}' as dimension
    {%- endfor %}

),

added_up as (

    select
        {% for key in keys %}{{ key }}, {% endfor %}
        dimension,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ model }}
    group by {% for key in keys %}{{ key }}, {% endfor %} dimension

)

select
    {% for key in keys %}whole.{{ key }}, {% endfor %}
    dimensions.dimension
from whole
cross join dimensions
left join added_up
    on
        dimensions.dimension = added_up.dimension
        {%- for key in keys %}
        and whole.{{ key }} = added_up.{{ key }}
        {%- endfor %}
where
    added_up.dimension is null
    {%- for measure in measures %}
    or added_up.{{ measure }} is distinct from whole.{{ measure }}
    {%- endfor %}

{% endtest %}
