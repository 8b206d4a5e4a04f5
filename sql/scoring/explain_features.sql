-- What each feature of one vector contributes to the raw output of a version's model, the largest first.
-- Called by: ml.top_contributions, ml.explain, ml.explain_predictions.
-- Calls: ml_generated.explain_<version>, ml_generated.attribute_<version>. Reads: ml_models, pg_catalog. Writes: nothing.

-- Explained is the raw output for the class win: the margin (log-odds) of boosting and linear models, the probability
-- of a forest, before calibration and blending, which both only grow with it. All contributions and the base value
-- add up to it. Method exact: Shapley values, of trees over the paths of the training data, of linear models against
-- the means of the training data. Method path: the changes along the path that the event takes, a cheap stand-in for
-- models whose exact values would slow down an INSERT.
CREATE OR REPLACE FUNCTION ml.explain_features(p_version text, p_features double precision[], p_exact boolean DEFAULT true)
RETURNS TABLE (
    feature text,
    value double precision,
    contribution double precision,
    rank integer,
    method text,
    base_value double precision
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_method text := 'exact';
    v_function text := 'explain_' || p_version;
    v_model public.ml_models;
    v_all double precision[];
    v_count integer;
    v_win integer;
    v_sign integer := 1;
    v_offset integer := 0;
BEGIN
    IF NOT p_exact AND pg_catalog.to_regproc(pg_catalog.format('ml_generated.%I', 'attribute_' || p_version)) IS NOT NULL THEN
        v_method := 'path';
        v_function := 'attribute_' || p_version;
    ELSIF pg_catalog.to_regproc(pg_catalog.format('ml_generated.%I', v_function)) IS NULL THEN
        RAISE EXCEPTION 'model % cannot be explained: it was compiled without ml_generated.%', p_version, v_function
            USING ERRCODE = 'undefined_function', HINT = 'Fit it anew: models compiled now come with their explanation.';
    END IF;
    SELECT model.feature_names, model.classes INTO v_model.feature_names, v_model.classes
    FROM public.ml_models AS model WHERE model.version = p_version;
    EXECUTE pg_catalog.format('SELECT ml_generated.%I($1)', v_function) INTO v_all USING p_features;

    v_count := pg_catalog.cardinality(v_model.feature_names);
    v_win := pg_catalog.array_position(v_model.classes, 'win');
    IF pg_catalog.cardinality(v_all) = v_count + 1 THEN
        -- One output for two classes speaks for the second of them.
        v_sign := CASE WHEN v_win = 2 THEN 1 ELSE -1 END;
    ELSE
        v_offset := (v_win - 1) * (v_count + 1);
    END IF;
    RETURN QUERY
    SELECT
        name.name,
        p_features[name.place],
        v_sign * v_all[v_offset + name.place],
        pg_catalog.row_number() OVER (
            ORDER BY pg_catalog.abs(v_all[v_offset + name.place]) DESC, name.place
        )::integer,
        v_method,
        v_sign * v_all[v_offset + v_count + 1]
    FROM pg_catalog.unnest(v_model.feature_names) WITH ORDINALITY AS name (name, place)
    ORDER BY 4;
END
$function$;
COMMENT ON FUNCTION ml.explain_features IS
    'What each feature of one vector contributes to the raw output of a version''s model, the largest first.';
REVOKE ALL ON FUNCTION ml.explain_features FROM PUBLIC;
