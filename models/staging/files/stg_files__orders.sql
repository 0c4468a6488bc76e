with

source as (

    select * from {{ ref('base_files__orders') }}

),

renamed as (

    select

        ---------- ids
        order_id,
        customer_id,

        ---------- text
        status,
        currency_code,

        ---------- numbers
        amount,
        refunded_amount,

        ---------- times
        ordered_at,

        ---------- origin
        _source_file,
        _source_row

    from source

)

select * from renamed
