{#-
    The settings (vars), which are all checked before a model reads one.
-#}

{# A setting's value. Raises a compilation error where any setting is invalid. #}
{% macro setting(name) -%}
    {%- do check_settings() -%}
    {{ return(var_as_given(name)) }}
{%- endmacro %}

{#
    A var's value. dbt would run text with braces as Jinja, which may do anything to the database: such text of --vars
    is returned unrendered.
#}
{% macro var_as_given(name) -%}
    {%- set given = (invocation_args_dict.get('vars') or {}).get(name) -%}
    {%- if given is string and modules.re.search('[{][{%#]|[#}%][}]', given) -%}
        {{ return(given) }}
    {%- endif -%}
    {{ return(var(name, none)) }}
{%- endmacro %}

{# An invalid value, for a message: on one line, and shortened. #}
{% macro found(value) -%}
    {%- set is_plain = value is string or value is number or value is boolean or value is none -%}
    {%- set text = tojson(value) if is_plain else value | string -%}
    {{ return('; found ' ~ (text if text | length <= 80 else text[:79] ~ '…')) }}
{%- endmacro %}

{# The enabled sources, in the order of their union. With the setting raw_data, and without files, it is [files]. #}
{% macro enabled_sources() -%}
    {%- set sources = setting('sources') -%}
    {{ return(['files'] if var_as_given('raw_data') and 'files' not in sources else sources) }}
{%- endmacro %}

{# The dimensions of the survey marts: those of the other marts, and the channel of the survey. #}
{% macro survey_dimensions() -%}
    {{ return(setting('segment_dimensions') + ['channel']) }}
{%- endmacro %}

{# Raises a compilation error with all invalid settings in one message. #}
{% macro check_settings() -%}
    {%- set faults = setting_faults() -%}
    {%- if faults -%}
        {%- do exceptions.raise_compiler_error(
            'Invalid settings (vars):\n  - ' ~ faults | join('\n  - ')
        ) -%}
    {%- endif -%}
{%- endmacro %}

{% macro setting_faults() -%}
    {%- set faults, given = [], {} -%}
    {%- for name in settings() -%}
        {%- do given.update({name: var_as_given(name)}) -%}
    {%- endfor -%}
    {%- set known = {
        'list of': {
            'sources': source_systems() | list,
            'period_grains': ['week', 'month', 'quarter', 'year'],
            'segment_dimensions': ['country', 'language', 'acquisition_channel', 'source_system'],
        },
        'whole number from': {
            'activity_window_days': [1, 36500],
            'fiscal_year_start_month': [1, 12],
            'cltv_window_days': [1, 36500],
            'minimum_responses': [0, 1000000000],
            'gate_timeout_seconds': [1, 1000000000],
            'keep_published': [0, 1000],
        },
        'number from': {
            'csat_satisfied_share': [0, 1],
            'ces_easy_share': [0, 1],
            'max_quarantined_share': [0, 1],
            'max_shrinkage_share': [0, 1],
        },
    } -%}

    {%- for name, choices in known['list of'].items() -%}
        {%- set value = given[name] -%}
        {%- if value is string or value is mapping or value is not iterable -%}
            {%- do faults.append(name ~ ' must be a list of items from ' ~ choices ~ found(value)) -%}
        {%- else -%}
            {%- set strange = value | map('string') | reject('in', choices) | list -%}
            {%- for item in strange -%}
                {%- do faults.append(name ~ ' may contain only ' ~ choices ~ found(item)) -%}
            {%- endfor -%}
            {%- if not strange and value | unique | list | length < value | length -%}
                {%- do faults.append(name ~ ' has duplicates: ' ~ value) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}

    {%- for name, range in known['whole number from'].items() -%}
        {%- set value = given[name] -%}
        {%- if not is_whole_number(value, range[0], range[1]) -%}
            {%- do faults.append(
                name ~ ' must be a whole number from ' ~ range[0] ~ ' to ' ~ range[1] ~ found(value)
            ) -%}
        {%- endif -%}
    {%- endfor -%}

    {%- for name, range in known['number from'].items() -%}
        {%- set value = given[name] -%}
        {%- if value is boolean or value is not number or not range[0] <= value <= range[1] -%}
            {%- do faults.append(
                name ~ ' must be a number from ' ~ range[0] ~ ' to ' ~ range[1] ~ found(value)
            ) -%}
        {%- endif -%}
    {%- endfor -%}

    {%- if given.raw_data is not none and given.raw_data is not string -%}
        {%- do faults.append('raw_data must be the path of a folder' ~ found(given.raw_data)) -%}
    {%- endif -%}
    {%- set pattern = contract('orders').config.meta.get('schema_pattern', '.*') -%}
    {%- if given.raw_schema is not string or not modules.re.fullmatch(pattern, given.raw_schema) -%}
        {%- do faults.append(
            'raw_schema must be a name of at most 63 plain letters, digits and underscores, such as shop'
            ~ found(given.raw_schema)
        ) -%}
    {%- endif -%}
    {%- if not given.sources -%}
        {%- do faults.append('sources is empty') -%}
    {%- endif -%}
    {%- if given.sources is iterable and 'files' in given.sources and not given.raw_data -%}
        {%- do faults.append('sources has files, but raw_data is not set') -%}
    {%- endif -%}
    {%- if not given.period_grains -%}
        {%- do faults.append('period_grains is empty') -%}
    {%- endif -%}
    {%- if given.allow_empty_inputs is not boolean -%}
        {%- do faults.append('allow_empty_inputs must be true or false' ~ found(given.allow_empty_inputs)) -%}
    {%- endif -%}
    {%- if given.nps_responses not in ['all', 'latest_per_customer'] -%}
        {%- do faults.append('nps_responses must be all or latest_per_customer' ~ found(given.nps_responses)) -%}
    {%- endif -%}
    {%- if given.quality_policy not in ['quarantine', 'strict'] -%}
        {%- do faults.append('quality_policy must be quarantine or strict' ~ found(given.quality_policy)) -%}
    {%- endif -%}
    {%- if not modules.re.fullmatch('[A-Z]{3}', given.reporting_currency | string) -%}
        {%- do faults.append(
            'reporting_currency must be an ISO 4217 code such as EUR' ~ found(given.reporting_currency)
        ) -%}
    {%- endif -%}
    {%- if (given.reporting_time_zone | string) not in modules.pytz.all_timezones -%}
        {%- do faults.append(
            'reporting_time_zone must be an IANA time zone such as Europe/Helsinki' ~ found(given.reporting_time_zone)
        ) -%}
    {%- endif -%}
    {%- if given.as_of_date is not none and not is_iso_date(given.as_of_date) -%}
        {%- do faults.append('as_of_date must be a date, YYYY-MM-DD' ~ found(given.as_of_date)) -%}
    {%- endif -%}
    {%- if given.csat_satisfied_from is not mapping -%}
        {%- do faults.append(
            "csat_satisfied_from must be a mapping such as {'1-4': 3}" ~ found(given.csat_satisfied_from)
        ) -%}
    {%- else -%}
        {%- for scale, score in given.csat_satisfied_from.items() -%}
            {%- if not is_score_of_scale(scale, score) -%}
                {%- do faults.append(
                    "csat_satisfied_from must map scales such as '1-4' to scores on them"
                    ~ found({scale: score})
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(faults) }}
{%- endmacro %}

{#
    Logs a warning for each name in --vars that is not a setting, so that a misspelt one is noticed. Called by a hook at
    the start of a run, and by each analysis with its parameters.
#}
{% macro warn_of_unknown_settings(parameters=[], analysis=none) -%}
    {%- if execute -%}
        {%- set what = 'not a setting of this project' ~ (' or a parameter of ' ~ analysis if analysis else '') -%}
        {%- set known = settings() + parameters | list -%}
        {%- for name in (invocation_args_dict.get('vars') or {}) if name not in known -%}
            {%- do log('WARNING: ' ~ name ~ ' is ' ~ what ~ ', and is ignored.', info=true) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{# The names of all settings. #}
{% macro settings() -%}
    {{ return([
        'sources', 'raw_data', 'raw_schema', 'as_of_date', 'reporting_currency', 'reporting_time_zone',
        'activity_window_days', 'period_grains', 'fiscal_year_start_month', 'segment_dimensions', 'nps_responses',
        'csat_satisfied_share', 'csat_satisfied_from', 'ces_easy_share', 'cltv_window_days', 'minimum_responses',
        'max_quarantined_share', 'quality_policy', 'max_shrinkage_share', 'gate_timeout_seconds', 'keep_published',
        'allow_empty_inputs',
    ]) }}
{%- endmacro %}

{# Whether `value` is a whole number from `least` to `most`. #}
{% macro is_whole_number(value, least, most) -%}
    {{ return(value is integer and value is not boolean and least <= value <= most) }}
{%- endmacro %}

{# Whether `scale` has the form min-max, as in 1-4 or -2-2, and `score` is on it. #}
{% macro is_score_of_scale(scale, score) -%}
    {%- set parts = modules.re.fullmatch('(0|-?[1-9][0-9]{0,8})-(0|-?[1-9][0-9]{0,8})', scale | string) -%}
    {%- if not parts or score is boolean or score is not number -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set scale_min, scale_max = parts.groups() | map('int') -%}
    {{ return(scale_min < scale_max and scale_min <= score and score <= scale_max) }}
{%- endmacro %}

{% macro is_iso_date(value) -%}
    {%- set parts = modules.re.fullmatch('([0-9]{4})-([0-9]{2})-([0-9]{2})', value | string) -%}
    {%- if not parts -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set year, month, day = parts.groups() | map('int') -%}
    {%- if year < 1 or month < 1 or month > 12 or day < 1 -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set february_ends = 29 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 28 -%}
    {%- set month_ends = [31, february_ends, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] -%}
    {{ return(day <= month_ends[month - 1]) }}
{%- endmacro %}
