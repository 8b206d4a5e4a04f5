SELECT public.ml_alerts()
