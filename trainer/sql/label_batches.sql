-- Cut the events to label into runs of consecutive detection times: start, end (exclusive) and number of events.
-- Called by: trainer.label. Calls: nothing. Reads: public.pattern_events. Writes: nothing.

WITH candidate AS (
    SELECT
        e.detected_at,
        -- Peers share a number, so that no detection time falls into two runs.
        (rank() OVER (ORDER BY e.detected_at) - 1) / %(batch)s AS run
    FROM public.pattern_events AS e
    WHERE (
        (e.outcome_label IS NULL AND e.label_source IS NULL)
        OR (%(relabel)s AND e.label_source = %(label)s)
    )
    AND (%(since)s::timestamptz IS NULL OR e.detected_at >= %(since)s::timestamptz)
    AND (%(until)s::timestamptz IS NULL OR e.detected_at < %(until)s::timestamptz)
),

run AS (
    SELECT
        min(c.detected_at) AS starts,
        count(*) AS events
    FROM candidate AS c
    GROUP BY c.run
)

SELECT
    r.starts,
    coalesce(lead(r.starts) OVER (ORDER BY r.starts), %(until)s::timestamptz) AS ends,
    r.events
FROM run AS r
ORDER BY r.starts
