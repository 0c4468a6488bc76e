{{ config(materialized='view', schema='staging') }}

select

    ---------- ids
    staged.source_system,
    staged.subscription_id,
    staged.customer_id,
    staged.known_customer_id,

    ---------- text
    staged.currency_code,

    ---------- numbers
    staged.monthly_amount,
    staged.rate_to_reporting,

    ---------- times
    staged.started_on,
    staged.ended_on,

    ---------- what could not be cast
    staged._uncast_monthly_amount,
    staged._uncast_started_on,
    staged._uncast_ended_on,

    ---------- origin
    staged._source_file,
    staged._source_row

from {{ staged_with_reasons('subscriptions', 'subscription_id') }}
where not {{ is_left_out('subscriptions') }}
