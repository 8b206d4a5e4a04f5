-- Performance by the newest run: a row per version, pattern type and metric, as realised and as estimated, with verdicts.
-- Called by: people and dashboards. Calls: nothing. Reads: ml_performance. Writes: nothing.

CREATE VIEW public.ml_model_performance WITH (security_invoker = true) AS
SELECT
    p.run_at,
    p.model_version,
    p.pattern_type,
    p.metric,
    max(p.predictions) AS predictions,
    max(p.labelled) AS labelled,
    max(p.value) FILTER (WHERE p.kind = 'realised') AS realised,
    max(p.low) FILTER (WHERE p.kind = 'realised') AS realised_low,
    max(p.high) FILTER (WHERE p.kind = 'realised') AS realised_high,
    max(p.value) FILTER (WHERE p.kind = 'estimated') AS estimated,
    max(p.low) FILTER (WHERE p.kind = 'estimated') AS estimated_low,
    max(p.high) FILTER (WHERE p.kind = 'estimated') AS estimated_high,
    max(p.baseline) AS baseline,
    max(p.verdict) FILTER (WHERE p.kind = 'realised') AS verdict,
    max(p.verdict) FILTER (WHERE p.kind = 'estimated') AS estimated_verdict,
    max(p.threshold) AS threshold,
    min(p.window_from) AS window_from,
    max(p.window_to) AS window_to
FROM public.ml_performance AS p
WHERE p.run_at = (SELECT max(newest.run_at) FROM public.ml_performance AS newest)
GROUP BY p.run_at, p.model_version, p.pattern_type, p.metric
ORDER BY p.model_version, p.pattern_type, p.metric;
COMMENT ON VIEW public.ml_model_performance IS
    'Performance by the newest run: a row per version, pattern type and metric, as realised and as estimated, with verdicts.';
COMMENT ON COLUMN public.ml_model_performance.verdict IS
    'Of the realised value against the baseline: ok, degraded, insufficient_data or no_baseline.';
