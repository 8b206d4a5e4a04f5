-- Withdraws an analyst's label, with who and why; the automatic label of the event, if there is one, comes back.
-- Called by: analysts, trainer annotate. Calls: nothing.
-- Reads: pattern_events, pattern_labels, ml_label_definitions.
-- Writes: pattern_labels; pattern_events (label columns only: scores stay what was acted on).

CREATE OR REPLACE FUNCTION ml.withdraw_label(
    p_event_id uuid,
    p_reason text,
    p_withdrawn_by text DEFAULT NULL
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_withdrawn public.pattern_labels;
    v_automatic public.pattern_labels;
BEGIN
    IF coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'p_reason is empty: say why in a few words' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM public.pattern_events AS e WHERE e.id = p_event_id FOR NO KEY UPDATE;
    UPDATE public.pattern_labels AS l
    SET
        withdrawn_at = clock_timestamp(),
        withdrawn_by = coalesce(nullif(btrim(p_withdrawn_by), ''), ml.acting_role()),
        withdrawn_reason = btrim(p_reason)
    WHERE l.event_id = p_event_id AND l.definition = 'analyst' AND l.withdrawn_at IS NULL
    RETURNING * INTO v_withdrawn;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no analyst''s label of event % stands: there is nothing to withdraw',
            coalesce(p_event_id::text, 'null') USING ERRCODE = 'no_data_found';
    END IF;
    SELECT l.* INTO v_automatic
    FROM public.pattern_labels AS l
    INNER JOIN public.ml_label_definitions AS d ON d.name = l.definition AND d.fills_event
    WHERE l.event_id = p_event_id AND l.withdrawn_at IS NULL
    ORDER BY l.id
    LIMIT 1;
    -- Without an automatic label the columns are free again.
    UPDATE public.pattern_events AS e
    SET
        outcome_label = v_automatic.outcome_label,
        outcome_at = v_automatic.outcome_at,
        realized_pnl = v_automatic.realized_pnl,
        max_drawdown = v_automatic.max_drawdown,
        label_source = v_automatic.definition,
        data_quality_score = v_automatic.data_quality_score
    WHERE e.id = p_event_id AND e.label_source = 'analyst';
    RETURN jsonb_build_object(
        'event_id', p_event_id,
        'withdrawn', v_withdrawn.outcome_label,
        'labelled_by', v_withdrawn.labelled_by,
        'now', CASE WHEN v_automatic.id IS NOT NULL THEN jsonb_build_object(
            'definition', v_automatic.definition, 'outcome_label', v_automatic.outcome_label) END
    );
END
$function$;
COMMENT ON FUNCTION ml.withdraw_label IS
    'Withdraws an analyst''s label, with who and why; the automatic label of the event, if there is one, comes back.';
REVOKE ALL ON FUNCTION ml.withdraw_label FROM PUBLIC;
