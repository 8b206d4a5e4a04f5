-- What a label means.
-- Called by: trainer.dataset. Calls: nothing. Reads: public.ml_label_definitions. Writes: nothing.

SELECT d.description
FROM public.ml_label_definitions AS d
WHERE d.name = %s
