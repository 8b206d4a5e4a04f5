-- Weights of the blend and the threshold in use.
-- Called by: trainer.fit. Calls: nothing. Reads: public.ml_settings. Writes: nothing.

SELECT s.ml_weight, s.rule_weight, s.confidence_threshold FROM public.ml_settings AS s
