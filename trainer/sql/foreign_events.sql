SELECT count(*) FROM public.pattern_events WHERE metadata ->> 'source' IS DISTINCT FROM 'trainer harvest'
