-- Closes the circuit breaker by hand, for instance after a repair; the next events are scored again.
-- Called by: operators. Calls: nothing. Reads: ml.scoring_context. Writes: ml_deployments.

CREATE OR REPLACE FUNCTION ml.close_breaker(p_reason text)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_context ml.scoring_context;
BEGIN
    SELECT * INTO v_context FROM ml.scoring_context;
    IF v_context.breaker_opened_at IS NOT NULL THEN
        INSERT INTO public.ml_deployments (action, version, calibrator_version, reason, details)
        VALUES ('breaker_close', v_context.model_version, v_context.calibrator_version, p_reason, '{"was": "open", "by": "hand"}');
    END IF;
    RETURN jsonb_build_object('changed', v_context.breaker_opened_at IS NOT NULL, 'opened_at', v_context.breaker_opened_at);
END
$function$;
COMMENT ON FUNCTION ml.close_breaker IS
    'Closes the circuit breaker by hand, for instance after a repair; the next events are scored again.';
REVOKE ALL ON FUNCTION ml.close_breaker FROM PUBLIC;
