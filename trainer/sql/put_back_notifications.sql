UPDATE public.ml_notifications AS put_back SET
    abandoned_at = NULL,
    next_attempt_at = clock_timestamp()
WHERE put_back.id IN (
    SELECT given_up.id
    FROM public.ml_notifications AS given_up
    WHERE given_up.channel = ANY (%(channels)s) AND given_up.severity = ANY (%(severities)s)
        AND given_up.abandoned_at > clock_timestamp() - interval '24 hours'
        -- A beginning that arrives after its end would leave an incident open for good.
        AND NOT EXISTS (
            SELECT FROM public.ml_notifications AS later
            WHERE later.channel = given_up.channel AND later.rule = given_up.rule AND later.key = given_up.key
                AND later.id > given_up.id
                AND (
                    later.delivered_at IS NOT NULL OR given_up.created_at < clock_timestamp() - interval '24 hours'
                )
        )
    FOR UPDATE SKIP LOCKED
)
