-- Record which events a training run used and for what; everything else that shows this label was not used.
-- Called by: trainer.dataset. Calls: nothing. Reads: public.pattern_labels, public.ml_label_definitions.
-- Writes: public.pattern_events.

WITH part AS (
    SELECT
        e.id,
        coalesce(u.split = 'train', false) AS used,
        u.split
    FROM public.pattern_events AS e
    LEFT JOIN unnest(%(ids)s::uuid[], %(splits)s::text[]) AS u (id, split) ON u.id = e.id
    WHERE e.label_source = %(label)s OR (
        -- An analyst's label stands in the place of one like this.
        e.label_source = 'analyst'
        AND EXISTS (SELECT FROM public.ml_label_definitions AS d WHERE d.name = %(label)s AND d.fills_event)
        AND EXISTS (
            SELECT
            FROM public.pattern_labels AS l
            WHERE l.event_id = e.id AND l.definition = 'analyst' AND l.withdrawn_at IS NULL
        )
    )
)

UPDATE public.pattern_events AS e
SET
    used_for_training = p.used,
    training_split = p.split
FROM part AS p
WHERE e.id = p.id AND (e.used_for_training, e.training_split) IS DISTINCT FROM (p.used, p.split)
