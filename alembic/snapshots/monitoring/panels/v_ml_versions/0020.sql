-- Which model versions scored, minute by minute and by role, with the alias that each has now.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_minutes, ml_aliases. Writes: nothing.

CREATE VIEW ml.v_ml_versions AS
SELECT
    used.time,
    used.model_version,
    used.role,
    coalesce((
        SELECT pg_catalog.string_agg(a.alias, ', ' ORDER BY a.alias) FROM public.ml_aliases AS a
        WHERE a.version = used.model_version
    ), '') AS alias,
    used.predictions
FROM (
    SELECT bucket AS time, model_version, role, sum(predictions)::bigint AS predictions
    FROM ml.panel_minutes
    WHERE is_live OR (source IN ('insert', 'update') AND role = 'shadow')
    GROUP BY bucket, model_version, role
) AS used;
COMMENT ON VIEW ml.v_ml_versions IS
    'Which model versions scored, minute by minute and by role, with the alias that each has now.';
COMMENT ON COLUMN ml.v_ml_versions.time IS 'Start of the minute; of the hour where ml.panel_minutes has hours.';
COMMENT ON COLUMN ml.v_ml_versions.model_version IS 'none: no model was asked.';
COMMENT ON COLUMN ml.v_ml_versions.role IS 'champion, challenger, rule (by decision), or shadow (scored, not acted on).';
COMMENT ON COLUMN ml.v_ml_versions.alias IS 'champion, challenger or previous, as of now; empty: none.';
COMMENT ON COLUMN ml.v_ml_versions.predictions IS 'Live predictions.';
