with

source as (

    {{ contract_as_text(source('tables', 'raw_subscriptions'), 'subscriptions') }}

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
