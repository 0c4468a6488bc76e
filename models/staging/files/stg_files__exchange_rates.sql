with

source as (

    select * from {{ ref('base_files__exchange_rates') }}

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
