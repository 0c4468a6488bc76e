{{ satisfaction_mart(
    survey_type='ces',
    hits='easy_responses',
    rate='ces',
    is_hit=is_easy('answers.score', 'answers.scale_min', 'answers.scale_max'),
) }}
