-- The first prediction that a model logged for each event, with the event's outcome; in the order of detection.
-- Called by: ml.recalibrate, ml.tune_blend_weights. Calls: ml.prediction_outcomes. Reads: nothing. Writes: nothing.
--
-- Which events are left out, and why, is said at ml.prediction_outcomes.

CREATE OR REPLACE FUNCTION ml.calibration_rows(
    p_version text,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_include_backfill boolean DEFAULT false,
    p_at timestamptz DEFAULT now()
)
RETURNS SETOF ml.calibration_row
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
-- Where a month or a week begins must not depend on the session.
SET timezone = 'UTC'
SET jit = off
AS $function$
    WITH found AS (
        SELECT
            o.*,
            CASE
                WHEN max(o.bar_period) FILTER (WHERE coalesce(o.left_out, 'label_window_open') = 'label_window_open') OVER ()
                    < '1 day' THEN 'week'
                ELSE 'month'
            END AS span
        FROM ml.prediction_outcomes(
            p_version => p_version,
            p_since => p_since,
            p_until => p_until,
            p_roles => ARRAY['champion', 'challenger', 'shadow'],
            p_sources => ARRAY['insert', 'update'] || CASE WHEN p_include_backfill THEN ARRAY['backfill'] ELSE '{}' END,
            p_at => p_at
        ) AS o
        WHERE p_version IS NOT NULL
    )

    SELECT
        f.event_id,
        f.symbol,
        f.timeframe,
        f.detected_at,
        f.known_at,
        date_trunc(f.span, f.detected_at)::date,
        f.ml_confidence_raw,
        f.rule_confidence,
        f.is_win,
        f.left_out
    FROM found AS f
    ORDER BY f.detected_at, f.symbol, f.timeframe, f.event_id
$function$;
COMMENT ON FUNCTION ml.calibration_rows IS
    'The first prediction that a model logged for each event, with the event''s outcome; in the order of detection.';
REVOKE ALL ON FUNCTION ml.calibration_rows FROM PUBLIC;
