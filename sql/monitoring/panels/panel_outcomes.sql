-- Outcomes of the predictions that were acted on, one row per day, version, pattern type and bin of confidence; 30 days.
-- Called by: views v_ml_accuracy, v_ml_fp_fn, v_ml_reliability. Calls: nothing.
-- Reads: ml_predictions, pattern_events, ml_settings. Writes: nothing.

-- A day at a time, so that a filter on time leaves the other days unread.
CREATE VIEW ml.panel_outcomes AS
SELECT
    day.time,
    outcome.model_version,
    outcome.pattern_type,
    outcome.bin,
    outcome.predictions,
    outcome.labelled,
    outcome.wins,
    outcome.confidence_sum,
    outcome.squared_error_sum,
    outcome.true_positives,
    outcome.false_positives,
    outcome.false_negatives,
    outcome.true_negatives
FROM pg_catalog.generate_series(
    pg_catalog.date_trunc('day', pg_catalog.statement_timestamp(), 'UTC') - interval '30 days',
    pg_catalog.date_trunc('day', pg_catalog.statement_timestamp(), 'UTC'),
    interval '1 day'
) AS day (time)
CROSS JOIN LATERAL (
    SELECT
        scored.model_version,
        event.pattern_type,
        -- Of ten bins, the last one closed on both sides.
        least(floor(scored.ml_confidence * 10)::integer + 1, 10) AS bin,
        count(*) AS predictions,
        count(known.is_win) AS labelled,
        count(*) FILTER (WHERE known.is_win) AS wins,
        sum(scored.ml_confidence) FILTER (WHERE known.is_win IS NOT NULL) AS confidence_sum,
        -- A square below the smallest number is an error in Postgres.
        sum(greatest(abs(scored.ml_confidence - known.is_win::integer), 1e-100) ^ 2) AS squared_error_sum,
        count(*) FILTER (WHERE known.is_win AND known.is_confirmed) AS true_positives,
        count(*) FILTER (WHERE NOT known.is_win AND known.is_confirmed) AS false_positives,
        count(*) FILTER (WHERE known.is_win AND NOT known.is_confirmed) AS false_negatives,
        count(*) FILTER (WHERE NOT known.is_win AND NOT known.is_confirmed) AS true_negatives
    FROM (
        -- An event that was scored several times in a day counts with the first time.
        SELECT DISTINCT ON (p.event_id) p.event_id, p.model_version, p.ml_confidence, p.blended_confidence
        FROM public.ml_predictions AS p
        WHERE p.predicted_at >= day.time AND p.predicted_at < day.time + interval '1 day'
            AND p.source IN ('insert', 'update') AND p.role IN ('champion', 'challenger')
            AND p.fallback_reason IS NULL
            AND p.ml_confidence BETWEEN 0 AND 1 AND p.blended_confidence BETWEEN 0 AND 1
        ORDER BY p.event_id, p.predicted_at
    ) AS scored
    JOIN public.pattern_events AS event ON event.id = scored.event_id
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN event.outcome_label IN ('win', 'loss', 'timeout') THEN event.outcome_label = 'win' END AS is_win,
            scored.blended_confidence >= (SELECT s.confidence_threshold FROM public.ml_settings AS s) AS is_confirmed
    ) AS known
    GROUP BY scored.model_version, event.pattern_type, bin
) AS outcome;
COMMENT ON VIEW ml.panel_outcomes IS
    'Outcomes of the predictions that were acted on, one row per day, version, pattern type and bin of confidence; 30 days.';
COMMENT ON COLUMN ml.panel_outcomes.time IS 'Start of the day (UTC) of the predictions.';
COMMENT ON COLUMN ml.panel_outcomes.bin IS 'Tenth of the calibrated ML confidence, 1 to 10.';
COMMENT ON COLUMN ml.panel_outcomes.labelled IS
    'Predictions whose outcome is known. While a day has pending outcomes, the known ones are the quick ones.';
COMMENT ON COLUMN ml.panel_outcomes.true_positives IS
    'Confirmed (blended confidence at or above the threshold of now) and won.';
