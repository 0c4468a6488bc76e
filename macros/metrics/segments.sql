{#
    Select: one row per key, dimension and segment, with the sums of a relation's measures; the total has dimension all
    and segment all. The relation has a column for each dimension. Each of its rows belongs to one segment of a
    dimension, so the segments of a dimension add up to the total.
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
