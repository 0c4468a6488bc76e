{#-
    Delivered rows in the types of the input contract. What has its type already is only checked for its range; text is
    trimmed and cast. A value that can't be cast becomes NULL, and its text is kept in a column of its own.
-#}

{#
    Select: the rows of a relation. source_system: their source. types: the types of its columns by name; a column that
    is not there is text. columns: the columns to select, and their types in the contract. file, row: expressions of the
    origin of a row.

    Columns: source_system, those of `columns`, for each that is not text _uncast_<column>, for a timestamp <name>_at
    its date in the reporting time zone, <name>_on, and _source_file and _source_row.
#}
{% macro typed_rows(source_system, relation, types, columns, file='_source_file', row='_source_row') -%}
    select
        '{{ source_system }}' as source_system,
        {%- for name, type in columns.items() %}
        {{ name }},
        {%- if type == 'timestamp' %}
        {{ date_of_timestamp(name, '_raw_' ~ name, kind_of_type(types.get(name))) }} as {{ name[:-3] }}_on,
        {%- endif %}
        {%- if type != 'text' %}
        case when {{ name }} is null then {{ delivered_text('_raw_' ~ name, types.get(name)) }} end as _uncast_{{ name }},
        {%- endif %}
        {%- endfor %}
        _source_file,
        _source_row
    from (
        select
            {%- for name, type in columns.items() %}
            {%- if type == 'text' %}
            {{ name }},
            {%- else %}
            {{ typed_value(name, types.get(name), type) }} as {{ name }},
            {{ name }} as _raw_{{ name }},
            {%- endif %}
            {%- endfor %}
            _source_file,
            _source_row
        from (
            select
                {%- for name, type in columns.items() %}
                {{ cleaned_value(name, types.get(name), type) }} as {{ name }},
                {%- endfor %}
                {{ file }} as _source_file,
                {{ row }} as _source_row
            from {{ relation }}
        ) as cleaned
    ) as typed
{%- endmacro %}

{# Select: no rows, with the columns of typed_rows. #}
{% macro no_rows(columns) -%}
    {%- set nothing -%}
    (
        select
            {%- for name in columns %}
            {{ text_literal(none) }} as {{ name }},
            {%- endfor %}
            {{ text_literal(none) }} as _source_file,
            cast(null as bigint) as _source_row
        where false
    ) as nothing
    {%- endset -%}
    {{ typed_rows('none', nothing, {}, columns) }}
{%- endmacro %}

{# A delivered value before it is cast: text is trimmed, NaN is empty, and what becomes text is text. #}
{% macro cleaned_value(value, delivered, type) -%}
    {%- set kind = kind_of_type(delivered) -%}
    {%- if kind == 'text' -%}
    {{ trim_text(value_as_text(value, delivered) if delivered else value) }}
    {%- elif type == 'text' and kind == 'floating' -%}
    {{ floating_to_id(nan_to_null(value), delivered) }}
    {%- elif type == 'text' -%}
    {{ value_as_text(value, delivered) }}
    {%- elif kind == 'floating' -%}
    {{ nan_to_null(value) }}
    {%- else -%}
    {{ value }}
    {%- endif -%}
{%- endmacro %}

{# The text of a cleaned value. #}
{% macro delivered_text(value, delivered) -%}
    {{ value if kind_of_type(delivered) == 'text' else value_as_text(value, delivered) }}
{%- endmacro %}

{# A cleaned value in a type of the contract that is not text; NULL where it is none of its values. #}
{% macro typed_value(value, delivered, type) -%}
    {%- set kind = kind_of_type(delivered) -%}
    {%- set digits = modules.re.findall('[0-9]+', type) | map('int') | list -%}
    {%- if type == 'timestamp' -%}
        {%- if kind == 'text' -%}
        {{ text_to_timestamp(value) }}
        {%- elif kind == 'date' -%}
        {{ local_midnight(in_our_years(value, 'date')) }}
        {%- elif kind in ['timestamp', 'nanoseconds', 'instant'] -%}
        {{ in_our_years(utc_microseconds(value, kind), 'timestamp') }}
        {%- else -%}
        cast(null as timestamp)
        {%- endif -%}
    {%- elif type == 'date' -%}
        {%- if kind == 'text' -%}
        {{ text_to_date(value) }}
        {%- elif kind == 'date' -%}
        {{ in_our_years(value, 'date') }}
        {%- elif kind in ['timestamp', 'nanoseconds', 'instant'] -%}
        {%- set time = in_our_years(utc_microseconds(value, kind), 'timestamp') -%}
        case when {{ time }} = cast(cast({{ time }} as date) as timestamp) then cast({{ time }} as date) end
        {%- else -%}
        cast(null as date)
        {%- endif -%}
    {%- elif type == 'integer' -%}
        {%- if kind == 'text' -%}
        {{ text_to_integer(value) }}
        {%- elif kind in ['integer', 'decimal', 'floating'] -%}
        {#- As many digits as of text. -#}
        case
            when {{ value }} between -999999999 and 999999999
                then case when {{ value }} = floor({{ value }}) then cast({{ value }} as integer) end
        end
        {%- else -%}
        cast(null as integer)
        {%- endif -%}
    {%- else -%}
        {%- if kind == 'text' -%}
        {{ text_to_decimal(value, *digits) }}
        {%- elif kind == 'floating' -%}
        cast({{ floating_to_decimal(value, *digits) }} as {{ type }})
        {%- elif kind in ['integer', 'decimal'] -%}
        {{ number_to_decimal(value, delivered, *digits) }}
        {%- else -%}
        cast(null as {{ type }})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#
    The date of a timestamp in the reporting time zone. A value that came as a date alone is that day, which its
    midnight may miss where the clock skips it. raw: the value as it was delivered, of a kind.
#}
{% macro date_of_timestamp(timestamp, raw, kind) -%}
    {%- set zone = setting('reporting_time_zone') -%}
    {%- if kind == 'date' -%}
    case when {{ timestamp }} is not null then {{ raw }} end
    {%- elif kind == 'text' and zone != 'UTC' -%}
    case
        when {{ timestamp }} is not null
            then case when length({{ raw }}) = 10 then cast({{ raw }} as date) else {{ local_date(timestamp, zone) }} end
    end
    {%- else -%}
    {{ local_date(timestamp, zone) }}
    {%- endif -%}
{%- endmacro %}
