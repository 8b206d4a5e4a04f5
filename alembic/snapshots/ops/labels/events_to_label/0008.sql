-- Events that a labelling run under a name has to look at: no such label yet, or all of them again.
-- Called by: ml.label_outcomes, trainer label. Calls: nothing.
-- Reads: pattern_events, pattern_labels, ml_label_definitions. Writes: nothing.
--
-- With free label columns an event is looked at even when it has the label: that is how a label that was cleared by
-- hand, or an event that was deleted and inserted again, gets its columns back.

CREATE OR REPLACE FUNCTION ml.events_to_label(
    p_label text,
    p_since timestamptz,
    p_until timestamptz,
    p_relabel boolean
)
RETURNS TABLE (
    id uuid,
    symbol text,
    timeframe text,
    pattern_type text,
    direction text,
    detected_at timestamptz
)
LANGUAGE sql
-- No SET clause: the planner pulls the query into the caller's.
STABLE
AS $function$
    SELECT e.id, e.symbol, e.timeframe, e.pattern_type, e.direction, e.detected_at
    FROM public.pattern_events AS e
    LEFT JOIN public.pattern_labels AS l
        ON l.event_id = e.id AND l.definition = p_label AND l.withdrawn_at IS NULL
    WHERE (p_since IS NULL OR e.detected_at >= p_since)
        AND (p_until IS NULL OR e.detected_at < p_until)
        AND CASE
            WHEN e.outcome_label IS NULL AND e.label_source IS NULL
                AND coalesce(
                    (SELECT d.fills_event FROM public.ml_label_definitions AS d WHERE d.name = p_label), true
                )
                THEN true
            WHEN l.id IS NOT NULL OR e.label_source = p_label THEN p_relabel
            ELSE true
        END
$function$;
COMMENT ON FUNCTION ml.events_to_label IS
    'Events that a labelling run under a name has to look at: no such label yet, or all of them again.';
REVOKE ALL ON FUNCTION ml.events_to_label FROM PUBLIC;
