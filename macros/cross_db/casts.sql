{#-
    From delivered values to those of the input contract. Each macro returns NULL where it is not exactly a value of the
    type: the staged models then keep its text in a column of its own, which the gate checks. `text` must already be
    trimmed, and NULL where empty.
-#}

{# Text without leading and trailing white space (as Unicode defines it); NULL where nothing is left. #}
{% macro trim_text(text) -%}
    {{ return(adapter.dispatch('trim_text', 'customer_loyalty')(text)) }}
{%- endmacro %}

{# The code points that are trimmed: U+0009 to U+000D, U+001C to U+0020, U+0085, and Unicode's category Z. #}
{% macro white_space_codes() -%}
    {{ return(
        '0009 000a 000b 000c 000d 001c 001d 001e 001f 0020 0085 00a0 1680 2000 2001 2002 2003 2004 2005 2006 2007 2008 '
        '2009 200a 2028 2029 202f 205f 3000'.split()
    ) }}
{%- endmacro %}

{% macro default__trim_text(text) -%}
    nullif(trim(both U&'\{{ white_space_codes() | join("\\") }}' from {{ text }}), '')
{%- endmacro %}

{% macro duckdb__trim_text(text) -%}
    {%- set space = '[\\t-\\r\\x1c-\\x20\\x{85}\\p{Z}]' -%}
    {#- Most values begin and end with a visible ASCII character, and need no regular expression. -#}
    nullif(
        case
            when
                {{ text }} >= '!' and {{ text }} < chr(127)
                and reverse({{ text }}) >= '!' and reverse({{ text }}) < chr(127)
                then {{ text }}
            else regexp_replace({{ text }}, '^{{ space }}+|{{ space }}+$', '', 'g')
        end,
        ''
    )
{%- endmacro %}

{% macro spark__trim_text(text) -%}
    nullif(trim(both '\u{{ white_space_codes() | join("\\u") }}' from {{ text }}), '')
{%- endmacro %}

{# Whether all of `text` matches a regular expression (POSIX style, no look-around, no backslash). #}
{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch('matches', 'customer_loyalty')(text, pattern)) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    regexp_like({{ text }}, '^({{ pattern }})$')
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_full_match({{ text }}, '{{ pattern }}')
{%- endmacro %}

{# PostgreSQL has regexp_like from 15 on. #}
{% macro postgres__matches(text, pattern) -%}
    ({{ text }} ~ '^({{ pattern }})$')
{%- endmacro %}

{#
    A plain number: digits and a point. NULL where the type can't hold all digits; zeros beyond the scale are fine. With
    16 or more significant digits it is a printed floating-point number, and rounded: see nearest_decimal.
#}
{% macro text_to_decimal(text, precision, scale) -%}
    {%- set whole = '[0-9]{1,' ~ (precision - scale) ~ '}([.][0-9]{0,' ~ scale ~ '}0*)?' -%}
    {%- set pattern = '[+-]?0*(' ~ whole ~ '|[.][0-9]{1,' ~ scale ~ '}0*)' -%}
    cast(
        case
            when {{ matches(text, pattern) }}
                then cast({{ text }} as decimal({{ precision }}, {{ scale }}))
            when {{ matches(text, '[+-]?[0-9]*[.][0-9]+') }} and length(trim(leading '+-0' from replace({{ text }}, '.', ''))) >= 16
                then {{ nearest_decimal(number_of_text(text), precision, scale) }}
        end as decimal({{ precision }}, {{ scale }})
    )
{%- endmacro %}

{#
    A number of many decimals, rounded to the type where that changes it by less than one part in 10⁹: what binary
    floating point makes of 19.99 is meant to be 19.99. NULL otherwise.
#}
{% macro nearest_decimal(number, precision, scale) -%}
    {%- set rounded = 'round(' ~ number ~ ', ' ~ scale ~ ')' -%}
    case
        when
            abs({{ rounded }}) < {{ 10 ** (precision - scale) }}
            and (
                {{ rounded }} = {{ number }}
                or abs({{ as_double(rounded) }} - {{ as_double(number) }}) < 0.000000001 * abs({{ as_double(number) }})
            )
            then cast({{ rounded }} as decimal({{ precision }}, {{ scale }}))
    end
{%- endmacro %}

{# The number that a text is, with an exponent or without, with 18 decimals at least; NULL from 10²⁰ on. #}
{% macro number_of_text(text) -%}
    {{ return(adapter.dispatch('number_of_text', 'customer_loyalty')(text)) }}
{%- endmacro %}

{% macro default__number_of_text(text) -%}
    try_cast({{ text }} as decimal(38, 18))
{%- endmacro %}

{% macro postgres__number_of_text(text) -%}
    cast({{ text }} as numeric)
{%- endmacro %}

{# A floating-point number that is not NaN. #}
{% macro floating_to_decimal(value, precision, scale) -%}
    {{ return(adapter.dispatch('floating_to_decimal', 'customer_loyalty')(value, precision, scale)) }}
{%- endmacro %}

{#- As a number is printed: with as few digits as identify it. -#}
{% macro default__floating_to_decimal(value, precision, scale) -%}
    case
        when abs({{ value }}) < 1e20
            then {{ nearest_decimal(number_of_text('cast(' ~ value ~ ' as ' ~ dbt.type_string() ~ ')'), precision, scale) }}
    end
{%- endmacro %}

{# Most numbers have few digits, and can do without a text. #}
{% macro duckdb__floating_to_decimal(value, precision, scale) -%}
    {%- set short = 'try_cast(' ~ value ~ ' as decimal(18, 4))' -%}
    case
        when abs({{ value }}) < 1e11 and cast({{ short }} as double) = {{ value }}
            then try_cast({{ short }} as decimal({{ precision }}, {{ scale }}))
        else {{ default__floating_to_decimal(value, precision, scale) }}
    end
{%- endmacro %}

{# An exact number. type: its type. #}
{% macro number_to_decimal(value, type, precision, scale) -%}
    {%- set digits = modules.re.findall('[0-9]+', (type or '').partition('(')[2]) | map('int') | list -%}
    {%- set most = 10 ** (precision - scale) - 1 -%}
    {%- if digits | length == 2 and digits[1] <= scale and digits[0] - digits[1] <= precision - scale -%}
    cast({{ value }} as decimal({{ precision }}, {{ scale }}))
    {%- elif kind_of_type(type) == 'integer' -%}
    case when {{ value }} between -{{ most }} and {{ most }} then cast({{ value }} as decimal({{ precision }}, {{ scale }})) end
    {%- else -%}
    {#- As text, because a comparison could overflow. -#}
    {{ text_to_decimal(value_as_text(value, type), precision, scale) }}
    {%- endif -%}
{%- endmacro %}

{# A floating-point number as an id: without decimals where it is whole. type: its type. #}
{% macro floating_to_id(value, type) -%}
    {{ return(adapter.dispatch('floating_to_id', 'customer_loyalty')(value, type)) }}
{%- endmacro %}

{% macro default__floating_to_id(value, type) -%}
    case
        when {{ value }} = floor({{ value }}) and abs({{ value }}) < 1e37
            then cast(cast({{ value }} as decimal(38, 0)) as {{ dbt.type_string() }})
        else {{ value_as_text(value, type) }}
    end
{%- endmacro %}

{# PostgreSQL prints it so. #}
{% macro postgres__floating_to_id(value, type) -%}
    {{ value_as_text(value, type) }}
{%- endmacro %}

{# A floating-point number, NULL instead of NaN. #}
{% macro nan_to_null(value) -%}
    {{ return(adapter.dispatch('nan_to_null', 'customer_loyalty')(value)) }}
{%- endmacro %}

{% macro default__nan_to_null(value) -%}
    case when not isnan({{ value }}) then {{ value }} end
{%- endmacro %}

{% macro postgres__nan_to_null(value) -%}
    nullif({{ value }}, 'NaN')
{%- endmacro %}

{# A date or timestamp of the years 1 to 9999; NULL for any other, and for infinity. #}
{% macro in_our_years(value, type) -%}
    {%- set time = ' 23:59:59.999999' if type == 'timestamp' else '' -%}
    case
        when {{ value }} between cast('0001-01-01' as {{ type }}) and cast('9999-12-31{{ time }}' as {{ type }})
            then {{ value }}
    end
{%- endmacro %}

{# A timestamp in UTC, with microseconds. kind: timestamp, instant or nanoseconds; these are cut off. #}
{% macro utc_microseconds(value, kind) -%}
    {%- if kind == 'instant' -%}
    ({{ value }} at time zone 'UTC')
    {%- elif kind == 'nanoseconds' -%}
    {#- Only DuckDB has them. Its cast would round up before 1970. -#}
    case
        when isfinite({{ value }})
            then make_timestamp((epoch_ns({{ value }}) - (epoch_ns({{ value }}) % 1000 + 1000) % 1000) // 1000)
    end
    {%- else -%}
    {{ value }}
    {%- endif -%}
{%- endmacro %}

{# The UTC timestamp at which a date begins in the reporting time zone: of a date alone, the time. #}
{% macro local_midnight(date) -%}
    {%- set zone = setting('reporting_time_zone') -%}
    {%- if zone == 'UTC' -%}
    cast({{ date }} as timestamp)
    {%- else -%}
    {{ adapter.dispatch('local_midnight', 'customer_loyalty')(date, zone) }}
    {%- endif -%}
{%- endmacro %}

{#- The first day of the year 1 could begin in year 0, which clients can't read. -#}
{% macro default__local_midnight(date, zone) -%}
    {%- set midnight = 'cast(' ~ date ~ ' as timestamp)' -%}
    case
        when {{ date }} > cast('0001-01-01' as date)
            then {{ midnight }} at time zone '{{ zone }}' at time zone 'UTC'
        else {{ midnight }}
    end
{%- endmacro %}

{% macro spark__local_midnight(date, zone) -%}
    {%- set midnight = 'cast(' ~ date ~ ' as timestamp)' -%}
    case
        when {{ date }} > cast('0001-01-01' as date) then to_utc_timestamp({{ midnight }}, '{{ zone }}')
        else {{ midnight }}
    end
{%- endmacro %}

{# A whole number; 9.0 is 9. #}
{% macro text_to_integer(text) -%}
    cast(
        cast(case when {{ matches(text, '[+-]?0*[0-9]{1,9}([.]0*)?') }} then {{ text }} end as decimal(10, 0))
        as integer
    )
{%- endmacro %}

{# The pattern of a date; there is no year 0. #}
{% macro iso_day() -%}
    {{ return('([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}') }}
{%- endmacro %}

{# Whether a text that begins with an ISO 8601 date, by its form, begins with a date that exists. #}
{% macro is_calendar_day(text) -%}
    {%- set year = 'cast(substring(' ~ text ~ ', 1, 4) as integer)' -%}
    {%- set month = 'cast(substring(' ~ text ~ ', 6, 2) as integer)' -%}
    {%- set day = 'cast(substring(' ~ text ~ ', 9, 2) as integer)' -%}
    (
        {{ month }} between 1 and 12
        and {{ day }} between 1 and case
            when {{ month }} in (4, 6, 9, 11) then 30
            when {{ month }} != 2 then 31
            when (mod({{ year }}, 4) = 0 and mod({{ year }}, 100) != 0) or mod({{ year }}, 400) = 0 then 29
            else 28
        end
    )
{%- endmacro %}

{# An ISO 8601 calendar date, YYYY-MM-DD; a time of midnight after it, which Parquet writers add, is ignored. #}
{% macro text_to_date(text) -%}
    {{ return(adapter.dispatch('text_to_date', 'customer_loyalty')(
        text, iso_day() ~ '([ T]00:00(:00([.]0+)?)?)?'
    )) }}
{%- endmacro %}

{% macro default__text_to_date(text, pattern) -%}
    case
        when {{ matches(text, pattern) }}
            then case when {{ is_calendar_day(text) }} then cast(substring({{ text }}, 1, 10) as date) end
    end
{%- endmacro %}

{% macro duckdb__text_to_date(text, pattern) -%}
    case when {{ matches(text, pattern) }} then try_cast(left({{ text }}, 10) as date) end
{%- endmacro %}

{#
    An ISO 8601 timestamp in UTC: without an offset it is UTC, with one it is converted. Digits beyond microseconds are
    cut off. A date alone is its midnight in the reporting time zone.
#}
{% macro text_to_timestamp(text) -%}
    {%- set minutes = iso_day() ~ '[ T][0-2][0-9]:[0-5][0-9]' -%}
    {{ return(adapter.dispatch('text_to_timestamp', 'customer_loyalty')(
        text,
        day=iso_day(),
        minutes=minutes,
        seconds=':[0-5][0-9]([.][0-9]+)?',
        offset='(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)',
    )) }}
{%- endmacro %}

{% macro default__text_to_timestamp(text, day, minutes, seconds, offset) -%}
    {#- The day may end at 24:00. -#}
    {%- set is_time -%}
        {{ is_calendar_day(text) }}
        and (substring({{ text }}, 12, 2) < '24' or {{ matches(text, day ~ '[ T]24:00(:00([.]0+)?)?(' ~ offset ~ ')?') }})
    {%- endset -%}
    case
        when {{ matches(text, day) }}
            then case when {{ is_calendar_day(text) }} then {{ local_midnight('cast(' ~ text ~ ' as date)') }} end
        when {{ matches(text, minutes ~ '(' ~ seconds ~ ')?') }}
            then case when {{ is_time }} then {{ time_text_to_timestamp(text) }} end
        when {{ matches(text, minutes ~ '(' ~ seconds ~ ')?' ~ offset) }}
            then case when {{ is_time }} then {{ offset_text_to_utc(text) }} end
    end
{%- endmacro %}

{% macro duckdb__text_to_timestamp(text, day, minutes, seconds, offset) -%}
    {#- A cast to timestamp would drop the offset. A cast to timestamptz takes a missing offset from the session, and
        accepts none right after the minutes. -#}
    case
        when {{ matches(text, day) }}
            then {{ local_midnight('try_cast(' ~ text ~ ' as date)') }}
        when {{ matches(text, minutes ~ '(' ~ seconds ~ ')?') }}
            then try_cast({{ text }} as timestamp)
        when {{ matches(text, minutes ~ seconds ~ offset) }}
            then try_cast({{ text }} as timestamptz) at time zone 'UTC'
        when {{ matches(text, minutes ~ offset) }}
            then try_cast(left({{ text }}, 16) || ':00' || substr({{ text }}, 17) as timestamptz) at time zone 'UTC'
    end
{%- endmacro %}

{# The timestamp of a text that is a timestamp without an offset. #}
{% macro time_text_to_timestamp(text) -%}
    {{ return(adapter.dispatch('time_text_to_timestamp', 'customer_loyalty')(text)) }}
{%- endmacro %}

{% macro default__time_text_to_timestamp(text) -%}
    cast({{ cut_to_microseconds(text) }} as timestamp)
{%- endmacro %}

{# Spark's timestamp is an instant, shown in the session's zone, UTC. It rejects 24:00, and an offset after minutes. #}
{% macro spark__time_text_to_timestamp(text) -%}
    {%- set with_seconds -%}
        case
            when substring({{ text }}, 17, 1) in ('', ':') then {{ text }}
            else substring({{ text }}, 1, 16) || ':00' || substring({{ text }}, 17)
        end
    {%- endset -%}
    case
        when substring({{ text }}, 12, 2) = '24'
            then cast(overlay({{ with_seconds }} placing '00' from 12 for 2) as timestamp) + interval '1' day
        else cast({{ with_seconds }} as timestamp)
    end
{%- endmacro %}

{# A cast would round up. #}
{% macro cut_to_microseconds(text) -%}
    regexp_replace({{ text }}, '([.][0-9]{6})[0-9]+', '\1')
{%- endmacro %}

{# The UTC timestamp of a text that is a timestamp with an offset. #}
{% macro offset_text_to_utc(text) -%}
    {{ return(adapter.dispatch('offset_text_to_utc', 'customer_loyalty')(text)) }}
{%- endmacro %}

{% macro default__offset_text_to_utc(text) -%}
    cast({{ cut_to_microseconds(text) }} as timestamp with time zone) at time zone 'UTC'
{%- endmacro %}

{% macro spark__offset_text_to_utc(text) -%}
    {{ spark__time_text_to_timestamp(text) }}
{%- endmacro %}
