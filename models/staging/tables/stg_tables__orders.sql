with

source as (

    {{ contract_as_text(source('tables', 'raw_orders'), 'orders') }}

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
