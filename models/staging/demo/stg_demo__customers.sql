with

source as (

    select
        *,
        'seeds/raw_customers.csv' as _source_file,
        {{ loaded_row_number() }} + 1 as _source_row
    from {{ ref('raw_customers') }}

),

renamed as (

    select

        ---------- ids
        customer_id,

        ---------- text
        email,
        full_name,
        country_code,
        language_code,
        acquisition_channel,

        ---------- times
        signed_up_at,

        ---------- origin
        _source_file,
        _source_row

    from source

)

select * from renamed
