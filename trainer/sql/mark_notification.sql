UPDATE public.ml_notifications SET
    attempts = attempts + 1,
    delivered_at = CASE WHEN %(outcome)s = 'delivered' THEN clock_timestamp() END,
    abandoned_at = CASE WHEN %(outcome)s = 'abandoned' THEN clock_timestamp() END,
    next_attempt_at = clock_timestamp() + %(delay)s * interval '1 second',
    last_error = %(error)s
WHERE id = %(id)s
