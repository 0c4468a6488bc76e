{#-
    Parameters of the analyses: vars for one run of one analysis, unlike settings, which belong to the project.
-#}

{#
    The values of an analysis's parameters by name, ready to be written into its SQL. Raises a compilation error for
    invalid values. known: for each name, a kind and the default, used where the parameter is null or not given:
        one of          the allowed words, the first of them the default
        day, text       none by default; a value becomes a literal
        whole number    a number from 1 to 36500
        whole numbers   a list of such numbers
#}
{% macro parameters(known) -%}
    {%- set values, faults = {}, [] -%}
    {%- for name, (kind, default) in known.items() -%}
        {%- set given = var_as_given(name) -%}
        {%- set value = (default[0] if kind == 'one of' else default) if given is none else given -%}
        {%- set fault = none if value is none else parameter_fault(kind, default, value) -%}
        {%- if fault -%}
            {%- do faults.append(name ~ ' ' ~ fault ~ found(value)) -%}
        {%- elif value is not none and kind == 'day' -%}
            {%- set value = "cast('" ~ value ~ "' as date)" -%}
        {%- elif value is not none and kind == 'text' -%}
            {%- set value = dbt.string_literal(dbt.escape_single_quotes(value)) -%}
        {%- endif -%}
        {%- do values.update({name: value}) -%}
    {%- endfor -%}
    {#- dbt also parses analyses that this run does not compile: their parameters are not checked. -#}
    {%- if execute -%}
        {%- do warn_of_unknown_settings(known, model.name) -%}
        {%- if faults -%}
            {%- do exceptions.raise_compiler_error(
                'Invalid parameters (vars) of ' ~ model.name ~ ':\n  - ' ~ faults | join('\n  - ')
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(values) }}
{%- endmacro %}

{# A message on what is wrong with a parameter's value; none where it is valid. #}
{% macro parameter_fault(kind, default, value) -%}
    {%- if kind == 'one of' and value not in default -%}
        {{ return('must be one of ' ~ default) }}
    {%- elif kind == 'day' and not is_iso_date(value) -%}
        {{ return('must be a date, YYYY-MM-DD') }}
    {%- elif kind == 'text' and (value is not string or '\x00' in value) -%}
        {{ return('must be a text, in quotes') }}
    {%- elif kind == 'whole number' and not is_whole_number(value, 1, 36500) -%}
        {{ return('must be a whole number from 1 to 36500') }}
    {%- elif kind == 'whole numbers' -%}
        {%- set numbers = value if value is iterable and value is not string and value is not mapping else [none] -%}
        {%- for number in numbers if not is_whole_number(number, 1, 36500) -%}
            {{ return('must be a list of whole numbers from 1 to 36500') }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}
