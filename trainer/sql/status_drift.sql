SELECT jsonb_build_object(
    'run_at', max(d.run_at),
    'measured', count(*) FILTER (WHERE d.verdict <> 'insufficient_data'),
    'insufficient', count(*) FILTER (WHERE d.verdict = 'insufficient_data'),
    'drift', coalesce(jsonb_agg(d.feature ORDER BY d.value DESC) FILTER (WHERE d.verdict = 'drift'), '[]'),
    'watch', coalesce(jsonb_agg(d.feature ORDER BY d.value DESC) FILTER (WHERE d.verdict = 'watch'), '[]'),
    'quality', coalesce(jsonb_agg(d.feature ORDER BY d.feature) FILTER (WHERE d.quality_verdict = 'issue'), '[]')
)
FROM public.ml_drift AS d
JOIN public.ml_aliases AS a ON a.version = d.model_version AND a.alias = 'champion'
WHERE d.method = 'jensen_shannon' AND d.run_at = (
    SELECT max(newest.run_at) FROM public.ml_drift AS newest
    WHERE newest.model_version = d.model_version AND newest.method = 'jensen_shannon'
)
HAVING count(*) > 0
