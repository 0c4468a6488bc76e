with

source as (

    {{ contract_as_text(source('tables', 'raw_exchange_rates'), 'exchange_rates') }}

),

renamed as (

    select

        ---------- text
        currency_code,

        ---------- numbers
        rate_to_reporting,

        ---------- times
        rate_date,

        ---------- origin
        _source_file,
        _source_row

    from source

)

select * from renamed
