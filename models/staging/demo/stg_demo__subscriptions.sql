with

source as (

    select
        *,
        'seeds/raw_subscriptions.csv' as _source_file,
        {{ loaded_row_number() }} + 1 as _source_row
    from {{ ref('raw_subscriptions') }}

),

renamed as (

    select

        ---------- ids
        subscription_id,
        customer_id,

        ---------- text
        currency_code,

        ---------- numbers
        monthly_amount,

        ---------- times
        started_on,
        ended_on,

        ---------- origin
        _source_file,
        _source_row

    from source

)

select * from renamed
