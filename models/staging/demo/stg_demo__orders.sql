with

source as (

    select
        *,
        'seeds/raw_orders.csv' as _source_file,
        {{ loaded_row_number() }} + 1 as _source_row
    from {{ ref('raw_orders') }}

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
