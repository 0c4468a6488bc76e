{#-
    From raw text to typed values. Each returns NULL where the text is not exactly a value of the type: the staged
    models then keep the raw text beside it, for the gate to judge. `text` is trimmed already, and NULL where empty.
-#}

{# Text without the white space around it, NULL where nothing is left. White space is what Unicode calls so. #}
{% macro trim_text(text) -%}
    {{ return(adapter.dispatch('trim_text', 'customer_loyalty')(text)) }}
{%- endmacro %}

{% macro duckdb__trim_text(text) -%}
    {%- set space = '[\\t-\\r\\x1c-\\x20\\x{85}\\p{Z}]' -%}
    {#- Few values have any: looking first is several times faster than trimming all. -#}
    nullif(
        case
            when regexp_matches({{ text }}, '^{{ space }}|{{ space }}$')
                then regexp_replace({{ text }}, '^{{ space }}+|{{ space }}+$', '', 'g')
            else {{ text }}
        end,
        ''
    )
{%- endmacro %}

{# Whether all of `text` matches a regular expression (POSIX style, no look-around). #}
{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch('matches', 'customer_loyalty')(text, pattern)) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    ({{ text }} ~ '^({{ pattern }})$')
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_full_match({{ text }}, '{{ pattern }}')
{%- endmacro %}

{# A plain number: digits, a point. Digits that the type can't hold make it NULL; zeros beyond the scale are no loss. #}
{% macro text_to_decimal(text, precision, scale) -%}
    {%- set whole = '[0-9]{1,' ~ (precision - scale) ~ '}([.][0-9]{0,' ~ scale ~ '}0*)?' -%}
    {%- set pattern = '[+-]?0*(' ~ whole ~ '|[.][0-9]{1,' ~ scale ~ '}0*)' -%}
    {{ return(adapter.dispatch('text_to_decimal', 'customer_loyalty')(text, pattern, precision, scale)) }}
{%- endmacro %}

{% macro default__text_to_decimal(text, pattern, precision, scale) -%}
    case when {{ matches(text, pattern) }} then cast({{ text }} as decimal({{ precision }}, {{ scale }})) end
{%- endmacro %}

{# A whole number; 9.0 is 9. #}
{% macro text_to_integer(text) -%}
    {{ return(adapter.dispatch('text_to_integer', 'customer_loyalty')(text)) }}
{%- endmacro %}

{% macro default__text_to_integer(text) -%}
    case
        when {{ matches(text, '[+-]?0*[0-9]{1,9}([.]0*)?') }}
            then cast(cast({{ text }} as decimal(10, 0)) as integer)
    end
{%- endmacro %}

{# The pattern of a day; there is no year 0. #}
{% macro iso_day() -%}
    {{ return('([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}') }}
{%- endmacro %}

{# An ISO 8601 calendar date, YYYY-MM-DD; midnight after it (as Parquet writers do) is no loss. #}
{% macro text_to_date(text) -%}
    {{ return(adapter.dispatch('text_to_date', 'customer_loyalty')(text)) }}
{%- endmacro %}

{% macro duckdb__text_to_date(text) -%}
    case
        when {{ matches(text, iso_day() ~ '([ T]00:00(:00([.]0+)?)?)?') }}
            then try_cast(left({{ text }}, 10) as date)
    end
{%- endmacro %}

{# An ISO 8601 timestamp in UTC: without an offset it is UTC, with one it is converted. Microseconds are kept. #}
{% macro text_to_timestamp(text) -%}
    {{ return(adapter.dispatch('text_to_timestamp', 'customer_loyalty')(text)) }}
{%- endmacro %}

{% macro duckdb__text_to_timestamp(text) -%}
    {%- set day = iso_day() -%}
    {%- set minutes = day ~ '[ T][0-2][0-9]:[0-5][0-9]' -%}
    {%- set seconds = ':[0-5][0-9]([.][0-9]{1,6}0*)?' -%}
    {%- set offset = '(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)' -%}
    {#- A cast to timestamp would drop the offset; one to timestamptz takes a missing one from the session, and none
        right after the minutes. -#}
    case
        when {{ matches(text, day) }}
            then try_cast({{ text }} as timestamp)
        when {{ matches(text, minutes ~ '(' ~ seconds ~ ')?') }}
            then try_cast({{ text }} as timestamp)
        when {{ matches(text, minutes ~ seconds ~ offset) }}
            then try_cast({{ text }} as timestamptz) at time zone 'UTC'
        when {{ matches(text, minutes ~ offset) }}
            then try_cast(left({{ text }}, 16) || ':00' || substr({{ text }}, 17) as timestamptz) at time zone 'UTC'
    end
{%- endmacro %}
