SELECT count(*), extract(epoch FROM min(waiting.next_attempt_at) FILTER (WHERE waiting.is_first) - clock_timestamp())::float8
FROM (
    SELECT
        n.next_attempt_at, row_number() OVER (PARTITION BY n.channel, n.rule, n.key ORDER BY n.id) = 1 AS is_first
    FROM public.ml_notifications AS n
    WHERE n.channel = ANY (%(channels)s) AND n.severity = ANY (%(severities)s)
        AND n.delivered_at IS NULL AND n.abandoned_at IS NULL
) AS waiting
