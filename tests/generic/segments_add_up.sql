{#- Cells of the whole that the segments of some dimension don't add up to: everybody is in one segment of each. -#}
{% test segments_add_up(model, keys, measures) %}

with

dimensions as (

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
from dimensions
inner join dimensions as whole
    on
        whole.dimension = 'all'
        {%- for key in keys %}
        and dimensions.{{ key }} = whole.{{ key }}
        {%- endfor %}
where {% for measure in measures %}{{ 'or ' if not loop.first }}dimensions.{{ measure }} != whole.{{ measure }} {% endfor %}

{% endtest %}
