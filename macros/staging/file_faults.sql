{#
    Hook of stg_files__<entity>: ends the model with every fault that base_files__<entity> found in the files.
    render(), not ref() alone: under --empty a ref is an empty table, and the guard would see no fault.
#}
{% macro refuse_file_faults() -%}
    {%- if execute -%}
    {%- set landed = ref(model.name | replace('stg_', 'base_')).render() -%}
    select {{ fail_with("'The files of raw_data can not be used:' || chr(10) || '  ' || string_agg(_fault, chr(10) || '  ')") }}
    from {{ landed }}
    where _fault is not null
    having count(*) > 0
    {%- endif -%}
{%- endmacro %}
