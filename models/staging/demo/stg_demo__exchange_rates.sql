with

source as (

    select
        *,
        'seeds/raw_exchange_rates.csv' as _source_file,
        {{ loaded_row_number() }} + 1 as _source_row
    from {{ ref('raw_exchange_rates') }}

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
