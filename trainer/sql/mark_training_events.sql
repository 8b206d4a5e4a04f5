-- Record which events a training run used and for what; everything else with this label was not used.
-- Called by: trainer.dataset. Calls: nothing. Reads: nothing. Writes: public.pattern_events.

WITH part AS (
    SELECT
        e.id,
        coalesce(u.split = 'train', false) AS used,
        u.split
    FROM public.pattern_events AS e
    LEFT JOIN unnest(%(ids)s::uuid[], %(splits)s::text[]) AS u (id, split) ON u.id = e.id
    WHERE e.label_source = %(label)s
)

UPDATE public.pattern_events AS e
SET
    used_for_training = p.used,
    training_split = p.split
FROM part AS p
WHERE e.id = p.id AND (e.used_for_training, e.training_split) IS DISTINCT FROM (p.used, p.split)
