with

source as (

    select
        *,
        'seeds/raw_surveys.csv' as _source_file,
        {{ loaded_row_number() }} + 1 as _source_row
    from {{ ref('raw_surveys') }}

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
