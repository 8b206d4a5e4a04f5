-- Records the hashes of a version's compiled functions and of its features' definitions, once; returns how many functions.
-- Called by: trainer deploy, ml.promote, the installation of a released model. Calls: ml.function_hashes, ml.feature_hashes.
-- Reads: ml_models, ml.model_functions. Writes: ml.model_functions, ml.model_features.

-- Records are kept as they are: called again, it adds nothing and returns 0.
CREATE OR REPLACE FUNCTION ml.record_functions(p_version text)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_functions integer := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM public.ml_models AS model WHERE model.version = p_version) THEN
        RAISE EXCEPTION 'model version % is not registered: deploy it first', coalesce(p_version, 'NULL')
            USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT EXISTS (SELECT FROM ml.model_functions AS known WHERE known.version = p_version) THEN
        INSERT INTO ml.model_functions (version, function_name, sha256)
        SELECT p_version, installed.function_name, installed.sha256 FROM ml.function_hashes(p_version) AS installed
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS v_functions = ROW_COUNT;
    END IF;
    IF NOT EXISTS (SELECT FROM ml.model_features AS known WHERE known.version = p_version) THEN
        INSERT INTO ml.model_features (version, feature_name, sha256)
        SELECT p_version, catalogue.feature_name, catalogue.sha256 FROM ml.feature_hashes(p_version) AS catalogue
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN v_functions;
END
$function$;
COMMENT ON FUNCTION ml.record_functions IS
    'Records the hashes of a version''s compiled functions and of its features'' definitions, once; returns how many functions.';
REVOKE ALL ON FUNCTION ml.record_functions FROM PUBLIC;
