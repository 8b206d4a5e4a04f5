SELECT jsonb_agg(
    jsonb_build_object(
        'run_at', p.run_at, 'kind', p.kind, 'metric', p.metric, 'value', p.value, 'low', p.low, 'high', p.high,
        'verdict', p.verdict, 'labelled', p.labelled, 'predictions', p.predictions
    ) ORDER BY p.kind DESC, p.metric
)
FROM public.ml_performance AS p
JOIN public.ml_aliases AS a ON a.version = p.model_version AND a.alias = 'champion'
WHERE p.pattern_type = '' AND p.run_at = (
    SELECT max(newest.run_at) FROM public.ml_performance AS newest WHERE newest.model_version = p.model_version
)
