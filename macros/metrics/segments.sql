{#
    Select: the measures of a relation summed for the whole (dimension all, segment all) and for each segment of each
    dimension. The relation has a column of each dimension's name. Every measure here is additive: a row belongs to
    one segment of a dimension, so the segments of a dimension add up to the whole.
#}
{% macro sum_by_segment(relation, keys, measures, dimensions) -%}
    {%- for dimension in ['all'] + dimensions %}
    {{ 'union all' if not loop.first }}
    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        '{{ dimension }}' as dimension,
        {{ "'all'" if dimension == 'all' else dimension }} as segment,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ relation }}
    group by {{ (keys if dimension == 'all' else keys + [dimension]) | join(', ') }}
    {%- endfor %}
{%- endmacro %}
