-- Cut the events to label into runs of consecutive detection times: start, end (exclusive) and number of events.
-- Called by: trainer.label. Calls: ml.events_to_label. Reads: nothing. Writes: nothing.

WITH candidate AS (
    SELECT
        e.detected_at,
        -- Peers share a number, so that no detection time falls into two runs.
        (rank() OVER (ORDER BY e.detected_at) - 1) / %(batch)s AS run
    FROM ml.events_to_label(
        p_label => %(label)s::text,
        p_since => %(since)s::timestamptz,
        p_until => %(until)s::timestamptz,
        p_relabel => %(relabel)s
    ) AS e
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
