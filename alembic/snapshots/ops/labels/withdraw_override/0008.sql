-- Withdraws an analyst's confidence of an event, with who and why; the model's own counts again.
-- Called by: analysts. Calls: nothing. Reads: pattern_events, confidence_overrides. Writes: confidence_overrides.

CREATE OR REPLACE FUNCTION ml.withdraw_override(
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
    v_event record;
    v_override public.confidence_overrides;
BEGIN
    IF coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'p_reason is empty: say why in a few words' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT e.model_version, e.blended_confidence INTO v_event
    FROM public.pattern_events AS e WHERE e.id = p_event_id FOR NO KEY UPDATE;
    SELECT * INTO v_override
    FROM public.confidence_overrides AS o WHERE o.event_id = p_event_id
    ORDER BY o.id DESC LIMIT 1;
    IF v_override.confidence IS NULL THEN
        RAISE EXCEPTION 'no override of event % stands: there is nothing to withdraw',
            coalesce(p_event_id::text, 'null') USING ERRCODE = 'no_data_found';
    END IF;
    INSERT INTO public.confidence_overrides (event_id, reason, overridden_by, model_version, blended_confidence)
    VALUES (
        p_event_id, btrim(p_reason), coalesce(nullif(btrim(p_withdrawn_by), ''), ml.acting_role()),
        v_event.model_version, v_event.blended_confidence
    );
    RETURN jsonb_build_object(
        'event_id', p_event_id,
        'withdrawn', v_override.confidence,
        'overridden_by', v_override.overridden_by,
        'blended_confidence', CASE WHEN v_event.blended_confidence < 'infinity' THEN v_event.blended_confidence END
    );
END
$function$;
COMMENT ON FUNCTION ml.withdraw_override IS
    'Withdraws an analyst''s confidence of an event, with who and why; the model''s own counts again.';
REVOKE ALL ON FUNCTION ml.withdraw_override FROM PUBLIC;
