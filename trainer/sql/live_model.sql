-- The model behind an alias, the end of the data that it was fitted and judged on, its card's figures of the holdout,
-- its label, and the end of the data that it was fitted on.
-- Called by: trainer.retrain. Calls: nothing. Reads: public.ml_aliases, public.ml_models. Writes: nothing.

SELECT
    m.version,
    greatest(upper(m.data_window), (m.card #>> '{holdout,data_window,end}')::timestamptz),
    m.card ->> 'dataset_sha256',
    (m.card #>> '{metrics,holdout,auc,calibrated,value}')::double precision,
    (m.card #>> '{metrics,holdout,brier_skill_own_base_rate,value}')::double precision,
    m.card #>> '{label,name}',
    upper(m.data_window)
FROM public.ml_aliases AS a
INNER JOIN public.ml_models AS m ON m.version = a.version
WHERE a.alias = %s
