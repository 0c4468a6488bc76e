with

source as (

    select * from {{ ref('base_files__subscriptions') }}

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
