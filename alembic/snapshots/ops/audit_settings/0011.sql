-- Row trigger of ml_settings: every setting that an UPDATE changes leaves a row in ml_deployments.
-- Called by: trigger ml_settings_90_audit. Calls: nothing. Reads: ml_aliases. Writes: ml_deployments.

CREATE OR REPLACE FUNCTION ml.audit_settings()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_changes jsonb;
BEGIN
    SELECT pg_catalog.jsonb_object_agg(
        changed.key, pg_catalog.jsonb_build_object('old', pg_catalog.to_jsonb(OLD) -> changed.key, 'new', changed.value))
    INTO v_changes
    FROM pg_catalog.jsonb_each(pg_catalog.to_jsonb(NEW)) AS changed
    WHERE changed.value IS DISTINCT FROM pg_catalog.to_jsonb(OLD) -> changed.key;

    IF v_changes IS NOT NULL THEN
        INSERT INTO public.ml_deployments (action, version, reason, details)
        VALUES (
            CASE
                WHEN NEW.enabled AND NOT OLD.enabled THEN 'enable'
                WHEN OLD.enabled AND NOT NEW.enabled THEN 'disable'
                WHEN v_changes ? 'rollout_percent' THEN 'rollout'
                WHEN v_changes ? 'canary_percent' THEN 'canary'
                WHEN v_changes ? 'confidence_threshold' THEN 'threshold'
                WHEN v_changes ?| ARRAY['ml_weight', 'rule_weight'] THEN 'weights'
                ELSE 'settings'
            END,
            (
                -- Withdrawn or promoted, the challenger has no alias any more.
                SELECT alias.version FROM public.ml_aliases AS alias
                WHERE alias.alias = 'champion' OR (v_changes ? 'canary_percent' AND alias.alias = 'challenger')
                ORDER BY alias.alias = 'champion' LIMIT 1
            ),
            nullif(pg_catalog.current_setting('ml.reason', true), ''),
            v_changes
        );
    END IF;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.audit_settings IS
    'Row trigger of ml_settings: every setting that an UPDATE changes leaves a row in ml_deployments.';
REVOKE ALL ON FUNCTION ml.audit_settings FROM PUBLIC;
