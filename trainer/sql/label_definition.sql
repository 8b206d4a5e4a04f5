-- What a label means, and of which kind its definition is; target: barriers without a stop.
-- Called by: trainer.dataset. Calls: nothing. Reads: public.ml_label_definitions. Writes: nothing.

SELECT
    d.description,
    CASE WHEN d.kind = 'barriers' AND d.stop_atr IS NULL THEN 'target' ELSE d.kind END AS kind
FROM public.ml_label_definitions AS d
WHERE d.name = %s
