SELECT outcome_label, count(*) FROM public.pattern_events WHERE outcome_label IS NOT NULL GROUP BY 1 ORDER BY 1 DESC
