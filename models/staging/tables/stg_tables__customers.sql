with

source as (

    {{ contract_as_text(source('tables', 'raw_customers'), 'customers') }}

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
