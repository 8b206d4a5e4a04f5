-- Gates of a promotion, one row each: does the compiled model exist, know its features, and give its golden scores?
-- Called by: ml.promote. Calls: ml.score_features.
-- Reads: ml_models, ml_features, pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.check_model(p_version text)
RETURNS TABLE (gate text, passed boolean, detail text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_model public.ml_models;
    v_row record;
    v_probabilities double precision[];
    v_difference double precision;
    v_largest double precision := 0;
    v_rows integer := 0;
BEGIN
    SELECT * INTO v_model FROM public.ml_models AS model WHERE model.version = p_version;

    gate := 'functions';
    passed := (
        SELECT pg_catalog.count(*) = 2 FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'ml_generated'::regnamespace
            AND p.proname IN ('score_' || p_version, 'features_' || p_version)
    );
    detail := CASE WHEN passed THEN 'compiled functions are installed'
        ELSE pg_catalog.format('ml_generated.%I or ml_generated.%I is missing', 'score_' || p_version, 'features_' || p_version)
    END;
    RETURN NEXT;

    gate := 'features';
    SELECT pg_catalog.string_agg(wanted.name, ', ') INTO detail
    FROM pg_catalog.unnest(v_model.feature_names) AS wanted (name)
    WHERE NOT EXISTS (SELECT FROM public.ml_features AS known WHERE known.name = wanted.name);
    passed := detail IS NULL;
    detail := coalesce('not in the catalogue: ' || detail, 'every feature is in the catalogue');
    RETURN NEXT;

    gate := 'golden rows';
    BEGIN
        FOR v_row IN
            SELECT golden.value -> 'features' AS features, golden.value -> 'probabilities' AS probabilities
            FROM pg_catalog.jsonb_array_elements(v_model.card -> 'golden_rows') AS golden
        LOOP
            v_rows := v_rows + 1;
            v_probabilities := ml.score_features(
                p_version, pg_catalog.jsonb_populate_record(NULL::ml.feature_vector, v_row.features));
            SELECT coalesce(pg_catalog.max(pg_catalog.abs(expected.value::double precision - v_probabilities[expected.place])), 'NaN')
            INTO v_difference
            FROM pg_catalog.jsonb_array_elements_text(v_row.probabilities) WITH ORDINALITY AS expected (value, place);
            v_largest := greatest(v_largest, v_difference);
        END LOOP;
        passed := v_rows > 0 AND v_largest <= 1e-9;
        detail := CASE WHEN v_rows = 0 THEN 'the card has no golden rows'
            ELSE pg_catalog.format('%s rows, largest difference %s', v_rows, v_largest) END;
    EXCEPTION WHEN OTHERS THEN
        passed := false;
        detail := pg_catalog.format('scoring row %s failed: %s (%s)', v_rows, SQLERRM, SQLSTATE);
    END;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION ml.check_model IS
    'Gates of a promotion, one row each: does the compiled model exist, know its features, and give its golden scores?';
REVOKE ALL ON FUNCTION ml.check_model FROM PUBLIC;
