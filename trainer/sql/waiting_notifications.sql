SELECT
    count(*),
    count(*) FILTER (WHERE waiting.attempts > 0),
    extract(epoch FROM min(waiting.next_attempt_at) FILTER (WHERE waiting.is_first) - clock_timestamp())::float8,
    (array_agg(waiting.last_error ORDER BY waiting.id) FILTER (WHERE waiting.attempts > 0))[1]
FROM (
    SELECT
        n.id, n.attempts, n.next_attempt_at, n.last_error,
        row_number() OVER (PARTITION BY n.channel, n.rule, n.key ORDER BY n.id) = 1 AS is_first
    FROM public.ml_notifications AS n
    WHERE n.channel = ANY (%(channels)s) AND n.severity = ANY (%(severities)s)
        AND n.delivered_at IS NULL AND n.abandoned_at IS NULL
) AS waiting
