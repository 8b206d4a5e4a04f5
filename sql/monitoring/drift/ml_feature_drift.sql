-- The newest run of drift by each method, the nightly one first, a row per feature and score, each with a sentence.
-- Called by: people and dashboards. Calls: nothing. Reads: ml_drift. Writes: nothing.

CREATE VIEW public.ml_feature_drift WITH (security_invoker = true) AS
SELECT
    drift.run_at,
    drift.model_version,
    drift.subject,
    drift.feature,
    drift.verdict,
    drift.quality_verdict,
    drift.method,
    drift.value,
    drift.p_value,
    drift.n_baseline,
    drift.n_current,
    drift.missing_rate,
    drift.baseline_missing_rate,
    drift.unseen_rate,
    drift.out_of_range_rate,
    drift.not_finite_rate,
    drift.invalid_rate,
    CASE
        WHEN drift.verdict = 'insufficient_data' THEN pg_catalog.format(
            '%s: too few values to judge (%s now, %s in the baseline)', drift.feature, drift.n_current, drift.n_baseline)
        WHEN drift.verdict = 'ok' THEN pg_catalog.format('%s: as in the baseline (%s %s)', drift.feature, drift.method, measured.figure)
        WHEN drift.verdict = 'watch' THEN pg_catalog.format(
            '%s: differs somewhat from the baseline (%s %s, drift from %s on)', drift.feature, drift.method, measured.figure,
            measured.drift_limit)
        ELSE pg_catalog.format(
            '%s: has drifted from the baseline (%s %s, limit %s)', drift.feature, drift.method, measured.figure,
            measured.drift_limit)
    END
    || CASE WHEN drift.quality_verdict = 'issue' THEN '; data quality: ' || pg_catalog.concat_ws(
        ', ',
        CASE WHEN drift.missing_rate > drift.baseline_missing_rate THEN pg_catalog.format(
            '%s %% missing (%s %% in the baseline)', pg_catalog.round((drift.missing_rate * 100)::numeric, 1),
            pg_catalog.round((drift.baseline_missing_rate * 100)::numeric, 1)) END,
        CASE WHEN drift.not_finite_rate > 0 THEN pg_catalog.format(
            '%s %% NaN or infinite', pg_catalog.round((drift.not_finite_rate * 100)::numeric, 1)) END,
        CASE WHEN drift.invalid_rate > 0 THEN pg_catalog.format(
            '%s %% outside the valid range', pg_catalog.round((drift.invalid_rate * 100)::numeric, 1)) END,
        CASE WHEN drift.unseen_rate > 0 THEN pg_catalog.format(
            '%s %% in categories that the baseline has not', pg_catalog.round((drift.unseen_rate * 100)::numeric, 1)) END,
        CASE WHEN drift.out_of_range_rate > 0 THEN pg_catalog.format(
            '%s %% beyond the extremes of the baseline', pg_catalog.round((drift.out_of_range_rate * 100)::numeric, 1)) END
    ) ELSE '' END AS sentence
FROM public.ml_drift AS drift
-- A run by another method, on request, must not hide what the night has found.
JOIN (
    SELECT each.method, pg_catalog.max(each.run_at) AS run_at FROM public.ml_drift AS each GROUP BY each.method
) AS newest ON newest.method = drift.method AND newest.run_at = drift.run_at
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN drift.p_value IS NULL THEN pg_catalog.to_char(drift.value, 'FM999999990.000')
            ELSE 'p = ' || pg_catalog.btrim(pg_catalog.to_char(drift.p_value, '9.9EEEE'))
        END AS figure,
        CASE
            WHEN drift.p_value IS NULL THEN pg_catalog.to_char(drift.drift_threshold, 'FM999999990.000')
            ELSE 'p = ' || pg_catalog.btrim(pg_catalog.to_char(drift.drift_threshold, '9.9EEEE'))
        END AS drift_limit
) AS measured
ORDER BY
    drift.method <> 'jensen_shannon',
    pg_catalog.array_position(ARRAY['drift', 'watch', 'ok', 'insufficient_data'], drift.verdict),
    drift.quality_verdict <> 'issue',
    drift.p_value,
    drift.value DESC NULLS LAST,
    drift.subject,
    drift.feature;
COMMENT ON VIEW public.ml_feature_drift IS
    'The newest run of drift by each method, the nightly one first, a row per feature and score, each with a sentence.';
