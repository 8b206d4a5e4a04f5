-- Records the confidence that an analyst gives an event, with who and why; the model's own figures stay as they are.
-- Called by: analysts. Calls: nothing. Reads: pattern_events. Writes: confidence_overrides.

CREATE OR REPLACE FUNCTION ml.override_confidence(
    p_event_id uuid,
    p_confidence double precision,
    p_reason text,
    p_overridden_by text DEFAULT NULL
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
    -- NaN sorts above 1.
    IF p_confidence IS NULL OR p_confidence NOT BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'p_confidence is %: it must be 0 to 1', coalesce(p_confidence::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'p_reason is empty: say why in a few words' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Analysts of one event queue here, so that the newest row is the one that was written last.
    SELECT e.model_version, e.blended_confidence INTO v_event
    FROM public.pattern_events AS e WHERE e.id = p_event_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no event %: look up its id in pattern_events', coalesce(p_event_id::text, 'null')
            USING ERRCODE = 'no_data_found';
    END IF;
    INSERT INTO public.confidence_overrides (
        event_id, confidence, reason, overridden_by, model_version, blended_confidence
    )
    VALUES (
        p_event_id, p_confidence, btrim(p_reason), coalesce(nullif(btrim(p_overridden_by), ''), ml.acting_role()),
        v_event.model_version, v_event.blended_confidence
    )
    RETURNING * INTO v_override;
    RETURN jsonb_build_object(
        'event_id', p_event_id,
        'confidence', v_override.confidence,
        'overridden_by', v_override.overridden_by,
        'overridden_at', v_override.overridden_at,
        'model_version', v_override.model_version,
        'blended_confidence', CASE WHEN v_override.blended_confidence < 'infinity' THEN v_override.blended_confidence END
    );
END
$function$;
COMMENT ON FUNCTION ml.override_confidence IS
    'Records the confidence that an analyst gives an event, with who and why; the model''s own figures stay as they are.';
REVOKE ALL ON FUNCTION ml.override_confidence FROM PUBLIC;
