SELECT min(p.predicted_at)
FROM public.ml_predictions AS p
WHERE p.predicted_at >= now() - interval '24 hours' AND p.source IN ('insert', 'update')
