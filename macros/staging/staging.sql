{#-
    What every staged input does alike: union the enabled sources, trim, cast, and keep what can not be cast.
-#}

{# The columns of each entity in the input contract. #}
{% macro contract_columns(entity) -%}
    {{ return({
        'customers': [
            'customer_id', 'signed_up_at', 'email', 'full_name', 'country_code', 'language_code', 'acquisition_channel',
        ],
        'orders': [
            'order_id', 'customer_id', 'ordered_at', 'status', 'currency_code', 'amount', 'refunded_amount',
        ],
        'surveys': [
            'response_id', 'customer_id', 'survey_type', 'responded_at', 'score', 'scale_min', 'scale_max', 'channel',
            'language_code', 'comment',
        ],
        'exchange_rates': ['currency_code', 'rate_date', 'rate_to_reporting'],
        'subscriptions': [
            'subscription_id', 'customer_id', 'started_on', 'ended_on', 'monthly_amount', 'currency_code',
        ],
    }[entity]) }}
{%- endmacro %}

{# The rows of one entity of all enabled sources. Every source delivers the input contract's columns, as text. #}
{% macro union_sources(entity) -%}
    {%- for source in enabled_sources() %}
    {{ 'union all' if not loop.first }}
    select
        '{{ source }}' as source_system,
        {%- for column in contract_columns(entity) %}
        {{ column }},
        {%- endfor %}
        _source_file,
        _source_row
    from {{ ref('stg_' ~ source ~ '__' ~ entity) }}
    {%- endfor %}
{%- endmacro %}

{# The raw text where it is no value of its type, else NULL: the gate wants to see only NULLs here. #}
{% macro uncast(text, typed) -%}
    case when {{ typed }} is null then {{ text }} end
{%- endmacro %}

{# Select: one row per customer id of staged_customers, however often it was delivered. #}
{% macro known_customers() -%}
    select
        source_system,
        customer_id,
        max(signed_up_at) as signed_up_at
    from {{ ref('staged_customers') }}
    where customer_id is not null
    group by source_system, customer_id
{%- endmacro %}
