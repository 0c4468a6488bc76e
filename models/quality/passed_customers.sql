{{ config(materialized='view', schema='staging') }}

-- in the columns of the staged rows, but for personal ones
select

    ---------- ids
    staged.source_system,
    staged.customer_id,

    ---------- text
    staged.country_code,
    staged.language_code,
    staged.acquisition_channel,

    ---------- times
    staged.signed_up_at,

    ---------- what could not be cast
    staged._uncast_signed_up_at,

    ---------- origin
    staged._source_file,
    staged._source_row

from {{ staged_with_reasons('customers', 'customer_id') }}
where not {{ is_left_out('customers') }}
