-- Whether any of these events is marked as synthetic.
-- Called by: trainer.provenance. Calls: nothing. Reads: public.pattern_events. Writes: nothing.

SELECT EXISTS (
    SELECT FROM public.pattern_events AS e
    WHERE e.id = ANY(%s::uuid[]) AND e.metadata @> '{"synthetic": true}'
)
