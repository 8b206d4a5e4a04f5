-- Why the score of ML was not used, minute by minute: fallbacks, and decisions such as disabled or not_in_rollout.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_minutes. Writes: nothing.

CREATE VIEW ml.v_ml_fallback_reasons AS
SELECT
    minute.bucket AS time,
    reason.key AS reason,
    CASE WHEN minute.role = 'rule' THEN 'decision' ELSE 'fallback' END AS kind,
    sum(reason.value::bigint)::bigint AS predictions
FROM ml.panel_minutes AS minute
CROSS JOIN LATERAL pg_catalog.jsonb_each_text(minute.reasons) AS reason
WHERE minute.is_live AND minute.reasons <> '{}'
GROUP BY minute.bucket, reason.key, CASE WHEN minute.role = 'rule' THEN 'decision' ELSE 'fallback' END;
COMMENT ON VIEW ml.v_ml_fallback_reasons IS
    'Why the score of ML was not used, minute by minute: fallbacks, and decisions such as disabled or not_in_rollout.';
COMMENT ON COLUMN ml.v_ml_fallback_reasons.time IS 'Start of the minute; of the hour where ml.panel_minutes has hours.';
COMMENT ON COLUMN ml.v_ml_fallback_reasons.reason IS 'fallback_reason of the predictions.';
COMMENT ON COLUMN ml.v_ml_fallback_reasons.kind IS 'decision: ML was not to be asked; fallback: it was, and its score was not used.';
COMMENT ON COLUMN ml.v_ml_fallback_reasons.predictions IS 'Live predictions with this reason.';
