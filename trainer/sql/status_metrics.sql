SELECT public.ml_metrics('1 hour', 60)
