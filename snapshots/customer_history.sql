{% snapshot customer_history %}
{{
    config(
        schema='snapshots',
        unique_key='customer_key',
        strategy='check',
        check_cols=['country', 'language', 'acquisition_channel'],
        group='sources',
    )
}}
select
    customer_key,
    source_system,
    country,
    language,
    acquisition_channel
from {{ ref('clean_customers') }}
{% endsnapshot %}
