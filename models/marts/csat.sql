{{ satisfaction_mart(
    survey_type='csat',
    hits='satisfied_responses',
    rate='csat',
    is_hit=is_satisfied('answers.score', 'answers.scale_min', 'answers.scale_max'),
) }}
