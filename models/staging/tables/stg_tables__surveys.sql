with

source as (

    {{ contract_as_text(source('tables', 'raw_surveys'), 'surveys') }}

),

renamed as (

    select

        ---------- ids
        response_id,
        customer_id,

        ---------- text
        survey_type,
        channel,
        language_code,
        comment,

        ---------- numbers
        score,
        scale_min,
        scale_max,

        ---------- times
        responded_at,

        ---------- origin
        _source_file,
        _source_row

    from source

)

select * from renamed
