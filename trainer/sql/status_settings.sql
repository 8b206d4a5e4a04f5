SELECT to_jsonb(s) FROM public.ml_settings AS s
