-- Contributions of all features of one vector to the raw output of a version's model for the class win.
-- Called by: ml.explain_features, ml.top_contributions.
-- Calls: ml_generated.explain_<version>, ml_generated.attribute_<version>. Reads: ml_models, pg_catalog. Writes: nothing.

-- Explained is the raw output: the margin (log-odds) of boosting and linear models, the probability of a forest, before
-- calibration and blending, which both only grow with it. All contributions and the base value add up to it. Method
-- exact: Shapley values, of trees over the paths of the training data, of linear models against the means of the
-- training data. Method path: the changes along the path that the event takes, a cheap stand-in for models whose exact
-- values would slow down an INSERT.
CREATE OR REPLACE FUNCTION ml.compute_contributions(
    p_version text,
    p_features double precision[],
    p_exact boolean,
    OUT method text,
    OUT feature_names text[],
    OUT contributions double precision[],
    OUT base_value double precision
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_function text := 'explain_' || p_version;
    v_classes text[];
    v_count integer;
    v_offset integer;
BEGIN
    method := 'exact';
    IF NOT p_exact AND to_regproc(format('ml_generated.%I', 'attribute_' || p_version)) IS NOT NULL THEN
        method := 'path';
        v_function := 'attribute_' || p_version;
    ELSIF to_regproc(format('ml_generated.%I', v_function)) IS NULL THEN
        RAISE EXCEPTION 'model % cannot be explained: it was compiled without ml_generated.%', p_version, v_function
            USING ERRCODE = 'undefined_function', HINT = 'Neural networks and mixed votes have none; any other model gets one when it is fitted anew.';
    END IF;
    SELECT model.feature_names, model.classes INTO feature_names, v_classes
    FROM public.ml_models AS model WHERE model.version = p_version;
    EXECUTE format('SELECT ml_generated.%I($1)', v_function) INTO contributions USING p_features;

    v_count := cardinality(feature_names);
    v_offset := (array_position(v_classes, 'win') - 1) * (v_count + 1);
    IF cardinality(contributions) > v_count + 1 THEN
        base_value := contributions[v_offset + v_count + 1];
        contributions := contributions[v_offset + 1:v_offset + v_count];
    ELSE
        base_value := contributions[v_count + 1];
        contributions := contributions[1:v_count];
        -- One output for two classes speaks for the second of them.
        IF v_offset = 0 THEN
            base_value := - base_value;
            contributions := ARRAY(SELECT - one.contribution FROM unnest(contributions) AS one (contribution));
        END IF;
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.compute_contributions IS
    'Contributions of all features of one vector to the raw output of a version''s model for the class win.';
REVOKE ALL ON FUNCTION ml.compute_contributions FROM PUBLIC;
