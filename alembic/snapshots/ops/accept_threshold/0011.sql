-- Takes over the confidence threshold that a model's card recommends.
-- Called by: operators. Calls: ml.change_setting. Reads: ml_models, ml_aliases. Writes: ml_settings.

CREATE OR REPLACE FUNCTION ml.accept_threshold(p_version text, p_reason text)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_threshold double precision;
BEGIN
    SELECT (model.card ->> 'recommended_threshold')::double precision INTO v_threshold
    FROM public.ml_models AS model WHERE model.version = p_version;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'model version % is not registered: deploy it first', coalesce(p_version, 'NULL')
            USING ERRCODE = 'no_data_found';
    ELSIF v_threshold IS NULL THEN
        RAISE EXCEPTION 'the card of model version % recommends no threshold: set confidence_threshold in ml_settings',
            p_version USING ERRCODE = 'no_data_found';
    END IF;
    -- The history names the champion, which need not be the version whose card recommends.
    RETURN ml.change_setting('confidence_threshold', v_threshold::text, CASE
        WHEN EXISTS (SELECT FROM public.ml_aliases AS a WHERE a.alias = 'champion' AND a.version = p_version) THEN p_reason
        ELSE concat_ws('; ', nullif(p_reason, ''), 'recommended by the card of ' || p_version)
    END);
END
$function$;
COMMENT ON FUNCTION ml.accept_threshold IS 'Takes over the confidence threshold that a model''s card recommends.';
REVOKE ALL ON FUNCTION ml.accept_threshold FROM PUBLIC;
