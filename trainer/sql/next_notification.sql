SELECT waiting.id, waiting.created_at, waiting.rule, waiting.key, waiting.transition, waiting.channel,
    waiting.severity, waiting.payload, waiting.attempts
FROM public.ml_notifications AS waiting
WHERE waiting.channel = ANY (%(channels)s) AND waiting.severity = ANY (%(severities)s)
    AND waiting.delivered_at IS NULL AND waiting.abandoned_at IS NULL AND waiting.next_attempt_at <= clock_timestamp()
    -- What was said of an alert first is delivered first.
    AND NOT EXISTS (
        SELECT FROM public.ml_notifications AS earlier
        WHERE earlier.channel = waiting.channel AND earlier.rule = waiting.rule AND earlier.key = waiting.key
            AND earlier.severity = ANY (%(severities)s)
            AND earlier.delivered_at IS NULL AND earlier.abandoned_at IS NULL AND earlier.id < waiting.id
    )
ORDER BY waiting.id
LIMIT 1
FOR UPDATE SKIP LOCKED
