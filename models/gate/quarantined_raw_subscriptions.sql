{{ config(materialized='view') }}

select

    ---------- ids
    {{ customer_key('staged.source_system', 'staged.customer_id') }} as customer_key,
    staged.source_system,
    staged.subscription_id,

    ---------- numbers
    staged.monthly_amount,

    ---------- times
    staged.started_on,
    staged.ended_on,

    ---------- why
    {{ quarantine_reasons('subscriptions') }},

    ---------- origin
    staged._source_file,
    staged._source_row

from {{ staged_with_reasons(ref('staged_subscriptions'), 'subscriptions', 'subscription_id') }}
where {{ is_left_out('subscriptions') }}
