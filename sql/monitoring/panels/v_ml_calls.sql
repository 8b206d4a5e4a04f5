-- By which way predictions were asked for, minute by minute.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_minutes. Writes: nothing.

CREATE VIEW ml.v_ml_calls AS
SELECT
    bucket AS time,
    CASE
        WHEN source = 'insert' THEN 'INSERT INTO pattern_events'
        WHEN source = 'update' THEN 'UPDATE pattern_events'
        WHEN source = 'backfill' THEN 'ml.backfill, ml.rescore'
        WHEN source = 'external' THEN 'log_ml_prediction'
        ELSE source
    END AS entry_point,
    sum(predictions)::bigint AS calls
FROM ml.panel_minutes
WHERE role <> 'shadow'
GROUP BY bucket, source;
COMMENT ON VIEW ml.v_ml_calls IS 'By which way predictions were asked for, minute by minute.';
COMMENT ON COLUMN ml.v_ml_calls.time IS 'Start of the minute; of the hour where ml.panel_minutes has hours.';
COMMENT ON COLUMN ml.v_ml_calls.entry_point IS
    'Statement or function. Calls that log no prediction (ml_health, ml_explain) are not seen here: Postgres counts them in pg_stat_user_functions when track_functions is on.';
COMMENT ON COLUMN ml.v_ml_calls.calls IS 'Predictions that came this way, one per event.';
