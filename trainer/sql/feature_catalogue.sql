-- Names of the features in catalogue order.
-- Called by: trainer.dataset. Calls: nothing. Reads: public.ml_features. Writes: nothing.

SELECT f.name FROM public.ml_features AS f ORDER BY f.position
