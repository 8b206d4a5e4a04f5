UPDATE public.ml_notifications AS outdated SET
    abandoned_at = clock_timestamp(),
    last_error = concat_ws(' ', 'Not delivered within 24 hours, and the alert has changed since.', outdated.last_error)
WHERE outdated.id IN (
    SELECT waiting.id
    FROM public.ml_notifications AS waiting
    WHERE waiting.channel = ANY (%(channels)s) AND waiting.severity = ANY (%(severities)s)
        AND waiting.delivered_at IS NULL AND waiting.abandoned_at IS NULL
        AND waiting.created_at < clock_timestamp() - interval '24 hours'
        AND EXISTS (
            SELECT FROM public.ml_notifications AS later
            WHERE later.channel = waiting.channel AND later.rule = waiting.rule AND later.key = waiting.key
                AND later.id > waiting.id
        )
    FOR UPDATE SKIP LOCKED
)
