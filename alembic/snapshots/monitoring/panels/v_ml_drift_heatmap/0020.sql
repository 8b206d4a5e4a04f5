-- Distance of every feature and score from the baseline, run by run: what ml.run_drift stored.
-- Called by: dashboards. Calls: nothing. Reads: ml_drift. Writes: nothing.

CREATE VIEW ml.v_ml_drift_heatmap AS
SELECT
    run_at AS time,
    model_version,
    subject,
    feature,
    method,
    verdict,
    quality_verdict,
    value,
    missing_rate,
    n_current
FROM public.ml_drift;
COMMENT ON VIEW ml.v_ml_drift_heatmap IS
    'Distance of every feature and score from the baseline, run by run: what ml.run_drift stored.';
COMMENT ON COLUMN ml.v_ml_drift_heatmap.time IS 'Time of the run, the end of its window; none before ml_set_baseline and ml.nightly.';
COMMENT ON COLUMN ml.v_ml_drift_heatmap.subject IS 'feature, or score (a confidence).';
COMMENT ON COLUMN ml.v_ml_drift_heatmap.verdict IS 'ok, watch, drift or insufficient_data.';
COMMENT ON COLUMN ml.v_ml_drift_heatmap.quality_verdict IS 'ok, issue or insufficient_data.';
COMMENT ON COLUMN ml.v_ml_drift_heatmap.value IS
    'Distance as the method defines it; jensen_shannon: 0 (same) to 1, watched from 0.1, drifted from 0.3.';
COMMENT ON COLUMN ml.v_ml_drift_heatmap.missing_rate IS 'Share (0 to 1) of predictions without a value.';
COMMENT ON COLUMN ml.v_ml_drift_heatmap.n_current IS 'Values in the window.';
