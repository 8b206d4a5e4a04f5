-- Gates that this server answers: functions, features, hashes of the artefact, golden rows, latency of warm calls.
-- Called by: ml.check_model. Calls: ml.function_hashes, ml.feature_hashes, ml.score_features.
-- Reads: ml_models, ml_gates, ml_settings, ml.model_functions, ml.model_features, pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.check_artefact(p_version text)
RETURNS TABLE (gate text, passed boolean, value double precision, threshold double precision, detail text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_model public.ml_models;
    v_callable boolean;
    v_missing text;
    v_changed text;
    v_hash text;
    v_row record;
    v_inputs ml.feature_vector[] := '{}'::ml.feature_vector[];
    v_input ml.feature_vector;
    v_probabilities double precision[];
    v_difference double precision;
    v_started timestamptz;
    v_called timestamptz;
    v_times double precision[] := '{}'::double precision[];
BEGIN
    SELECT * INTO v_model FROM public.ml_models AS model WHERE model.version = p_version;

    gate := 'functions';
    passed := (
        SELECT count(*) = 2 FROM pg_proc AS p
        WHERE p.pronamespace = 'ml_generated'::regnamespace
            AND p.proname IN ('score_' || p_version, 'features_' || p_version)
    );
    detail := CASE WHEN passed THEN 'compiled functions are installed'
        ELSE format('ml_generated.%I or ml_generated.%I is missing', 'score_' || p_version, 'features_' || p_version)
    END;
    v_callable := passed;
    RETURN NEXT;

    -- Definitions are what can be compared: a corrected bug in a feature's computation changes values and no definition.
    gate := 'features';
    SELECT
        count(*) FILTER (WHERE known.feature_name IS NULL OR known.sha256 <> recorded.sha256),
        string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE known.feature_name IS NULL),
        string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE known.sha256 <> recorded.sha256)
    INTO value, v_missing, v_changed
    FROM unnest(v_model.feature_names) AS wanted (name)
    LEFT JOIN ml.feature_hashes(p_version) AS known ON known.feature_name = wanted.name
    LEFT JOIN ml.model_features AS recorded ON recorded.version = p_version AND recorded.feature_name = wanted.name;
    v_hash := encode(sha256(convert_to(array_to_string(v_model.feature_names, E'\n'), 'UTF8')), 'hex');
    passed := value = 0 AND v_hash IS NOT DISTINCT FROM v_model.card ->> 'feature_names_sha256';
    detail := concat_ws(', ',
        'not in the catalogue: ' || v_missing,
        'defined otherwise than at registration: ' || v_changed,
        CASE
            WHEN v_model.card ->> 'feature_names_sha256' IS NULL THEN 'the card has no feature_names_sha256'
            WHEN v_model.card ->> 'feature_names_sha256' <> v_hash THEN 'the card was made for other features or another order'
        END);
    detail := CASE WHEN passed THEN format(
        '%s features, names and definitions unchanged%s', cardinality(v_model.feature_names),
        CASE WHEN NOT EXISTS (SELECT FROM ml.model_features AS known WHERE known.version = p_version)
            THEN ' (definitions were not recorded at registration; the promotion does)' ELSE '' END)
        ELSE detail END;
    RETURN NEXT;

    gate := 'artefact';
    SELECT
        count(*) FILTER (WHERE installed.sha256 IS DISTINCT FROM recorded.sha256) AS different,
        string_agg(coalesce(recorded.function_name, installed.function_name), ', ')
            FILTER (WHERE installed.sha256 IS DISTINCT FROM recorded.sha256) AS names,
        count(recorded.sha256) AS recorded,
        count(installed.sha256) AS installed
    INTO v_row
    FROM (SELECT * FROM ml.model_functions AS known WHERE known.version = p_version) AS recorded
    FULL JOIN ml.function_hashes(p_version) AS installed ON installed.function_name = recorded.function_name;
    value := CASE WHEN v_row.recorded > 0 THEN v_row.different END;
    passed := v_row.installed > 0 AND coalesce(value, 0) = 0;
    detail := CASE
        WHEN v_row.recorded = 0 THEN format(
            'hashes of its %s functions were not recorded at registration; the promotion does', v_row.installed)
        WHEN passed THEN format('%s functions have the SHA-256 of their registration', v_row.installed)
        ELSE format('changed, missing or added since registration: %s', v_row.names)
    END;
    RETURN NEXT;

    IF NOT v_callable THEN
        passed := false;
        value := NULL;
        detail := 'not checked: there is no function to call';
        gate := 'golden rows';
        RETURN NEXT;
        gate := 'latency';
        RETURN NEXT;
        RETURN;
    END IF;

    gate := 'golden rows';
    threshold := (SELECT known.threshold FROM public.ml_gates AS known WHERE known.gate = 'golden rows');
    value := 0;
    BEGIN
        FOR v_row IN
            SELECT golden.row -> 'features' AS features, golden.row -> 'probabilities' AS probabilities
            FROM jsonb_array_elements(CASE WHEN jsonb_typeof(v_model.card -> 'golden_rows') = 'array'
                THEN v_model.card -> 'golden_rows' END) AS golden (row)
        LOOP
            v_inputs := v_inputs || jsonb_populate_record(NULL::ml.feature_vector, v_row.features);
            v_probabilities := ml.score_features(p_version, v_inputs[cardinality(v_inputs)]);
            SELECT max(coalesce(abs(expected.value::double precision - v_probabilities[expected.place]), 'NaN'))
            INTO v_difference
            FROM jsonb_array_elements_text(v_row.probabilities) WITH ORDINALITY AS expected (value, place);
            value := greatest(value, CASE
                WHEN cardinality(v_probabilities) = jsonb_array_length(v_row.probabilities) THEN v_difference ELSE 'NaN' END);
        END LOOP;
        passed := cardinality(v_inputs) > 0 AND value <= threshold;
        detail := CASE WHEN v_inputs = '{}' THEN 'the card has no golden rows'
            ELSE format('%s rows, largest difference %s', cardinality(v_inputs), value) END;
    EXCEPTION WHEN OTHERS THEN
        passed := false;
        value := NULL;
        detail := format('scoring row %s failed: %s (%s)', cardinality(v_inputs), SQLERRM, SQLSTATE);
    END;
    RETURN NEXT;

    -- The first calls of a session, which compile and plan, were those of the gate before.
    gate := 'latency';
    threshold := coalesce(
        (SELECT known.threshold FROM public.ml_gates AS known WHERE known.gate = 'latency'),
        (SELECT settings.latency_target_ms FROM public.ml_settings AS settings));
    value := NULL;
    BEGIN
        v_started := clock_timestamp();
        <<measure>>
        FOR v_round IN 1..100 LOOP
            FOREACH v_input IN ARRAY v_inputs LOOP
                v_called := clock_timestamp();
                v_probabilities := ml.score_features(p_version, v_input);
                v_times := v_times || (extract(epoch FROM clock_timestamp() - v_called) * 1000)::double precision;
                EXIT measure WHEN cardinality(v_times) >= 200
                    OR (cardinality(v_times) >= 20 AND clock_timestamp() > v_started + interval '500 milliseconds')
                    OR clock_timestamp() > v_started + interval '5 seconds';
            END LOOP;
        END LOOP measure;
        SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY call.milliseconds) INTO value
        FROM unnest(v_times) AS call (milliseconds);
        passed := coalesce(value < threshold, false);
        detail := CASE WHEN value IS NULL THEN 'the card has no golden rows to call the model with'
            ELSE format('95th percentile of %s warm calls %s ms, to be below %s ms',
                cardinality(v_times), round(value::numeric, 3), threshold) END;
    EXCEPTION WHEN OTHERS THEN
        passed := false;
        detail := format('calling the model failed: %s (%s)', SQLERRM, SQLSTATE);
    END;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION ml.check_artefact IS
    'Gates that this server answers: functions, features, hashes of the artefact, golden rows, latency of warm calls.';
REVOKE ALL ON FUNCTION ml.check_artefact FROM PUBLIC;
