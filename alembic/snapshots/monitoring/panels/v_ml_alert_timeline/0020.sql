-- State of every alert over time: at each change, and again every hour while it is pending or firing.
-- Called by: dashboards. Calls: nothing. Reads: ml_alert_transitions. Writes: nothing.

-- Repeated so that a range which begins while an alert is firing shows it.
CREATE VIEW ml.v_ml_alert_timeline AS
SELECT
    moment.time,
    change.rule,
    change.key,
    change.severity,
    change.to_state AS state,
    CASE
        WHEN change.to_state = 'normal' THEN 0
        WHEN change.to_state = 'pending' THEN 1
        WHEN change.to_state = 'firing' THEN 2
        WHEN change.to_state = 'resolved' THEN 3
    END AS state_code,
    change.value
FROM (
    SELECT
        t.occurred_at,
        t.rule,
        t.key,
        t.severity,
        t.to_state,
        t.value,
        lead(t.occurred_at) OVER (PARTITION BY t.rule, t.key ORDER BY t.occurred_at, t.id) AS until
    FROM public.ml_alert_transitions AS t
) AS change
CROSS JOIN LATERAL (
    SELECT change.occurred_at AS time
    UNION ALL
    SELECT repeated.time
    FROM pg_catalog.generate_series(
        pg_catalog.date_bin('1 hour', change.occurred_at, '2000-01-01 00:00:00+00') + interval '1 hour',
        coalesce(change.until, pg_catalog.statement_timestamp()),
        interval '1 hour'
    ) AS repeated (time)
    WHERE change.to_state IN ('pending', 'firing') AND repeated.time < coalesce(change.until, 'infinity')
    UNION ALL
    SELECT pg_catalog.statement_timestamp()
    WHERE change.to_state <> 'normal' AND change.until IS NULL
        AND change.occurred_at < pg_catalog.statement_timestamp()
) AS moment;
COMMENT ON VIEW ml.v_ml_alert_timeline IS
    'State of every alert over time: at each change, and again every hour while it is pending or firing.';
COMMENT ON COLUMN ml.v_ml_alert_timeline.time IS
    'End of the minute that changed the state, each full hour of its time, or now; none before the first ml.tick: see ml_alerts().';
COMMENT ON COLUMN ml.v_ml_alert_timeline.key IS 'What the rule is about when it watches several: a version, say.';
COMMENT ON COLUMN ml.v_ml_alert_timeline.severity IS 'info, warning or critical.';
COMMENT ON COLUMN ml.v_ml_alert_timeline.state IS 'normal, pending, firing or resolved.';
COMMENT ON COLUMN ml.v_ml_alert_timeline.state_code IS '0 normal, 1 pending, 2 firing, 3 resolved.';
COMMENT ON COLUMN ml.v_ml_alert_timeline.value IS 'Value that changed the state, in the unit of the rule.';
