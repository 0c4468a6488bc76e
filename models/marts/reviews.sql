{{ satisfaction_mart(
    survey_type='review',
    hits='positive_responses',
    rate='positive',
    is_hit=is_satisfied('answers.score', 'answers.scale_min', 'answers.scale_max'),
) }}
