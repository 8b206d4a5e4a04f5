-- How much time scoring took, minute by minute and by version.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_minutes. Writes: nothing.

CREATE VIEW ml.v_ml_cpu AS
SELECT
    bucket AS time,
    model_version,
    sum(latency_sum_us)::double precision / 1e6 AS scoring_seconds,
    sum(latency_sum_us)::double precision / 1e6 / max(seconds) AS busy_share
FROM ml.panel_minutes
WHERE source IN ('insert', 'update') AND timed > 0
GROUP BY bucket, model_version;
COMMENT ON VIEW ml.v_ml_cpu IS 'How much time scoring took, minute by minute and by version.';
COMMENT ON COLUMN ml.v_ml_cpu.time IS 'Start of the minute; of the hour where ml.panel_minutes has hours.';
COMMENT ON COLUMN ml.v_ml_cpu.model_version IS 'none: no model was asked.';
COMMENT ON COLUMN ml.v_ml_cpu.scoring_seconds IS
    'Seconds that calls of INSERT and UPDATE took, shadow scores included, added up. Scoring waits for nothing but data, so this is about its CPU time; SQL cannot see the processor of the host.';
COMMENT ON COLUMN ml.v_ml_cpu.busy_share IS 'scoring_seconds per second: 1 means one processor kept busy.';
