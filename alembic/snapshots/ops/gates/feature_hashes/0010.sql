-- The features of a version that the catalogue has now, each with the SHA-256 of its definition there.
-- Called by: ml.record_functions, ml.check_artefact. Calls: nothing. Reads: ml_models, ml_features. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.feature_hashes(p_version text)
RETURNS TABLE (feature_name text, sha256 text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
-- Bounds are numbers, which are written with all their digits.
SET extra_float_digits = 1
AS $function$
    SELECT
        known.name,
        encode(sha256(convert_to(jsonb_build_array(
            known.unit, known.definition, known.valid_min, known.valid_max, known.bars_needed
        )::text, 'UTF8')), 'hex')
    FROM public.ml_models AS model
    CROSS JOIN LATERAL unnest(model.feature_names) AS wanted (name)
    JOIN public.ml_features AS known ON known.name = wanted.name
    WHERE model.version = p_version
$function$;
COMMENT ON FUNCTION ml.feature_hashes IS
    'The features of a version that the catalogue has now, each with the SHA-256 of its definition there.';
REVOKE ALL ON FUNCTION ml.feature_hashes FROM PUBLIC;
