-- Freezes the features and scores of a window of predictions as what later ones are compared with.
-- Called by: operators, once after every deployment that has proved itself.
-- Calls: ml.describe_values, ml.acting_role and, where it exists, ml.store_baseline_performance.
-- Reads: ml_predictions, ml_models, ml_aliases, ml_features. Writes: ml_baselines, ml_baseline_features.

-- Defaults: the champion, the last 30 days. Only live predictions (insert, update) with features that were acted on
-- count, those that ml.feature_drift compares; when the window has fewer than 200 of them, backfilled ones count too, and
-- the row says so. Fewer than 200 in all are taken with a warning, but never in the place of a baseline with more. Of more
-- than 100,000 a fixed share, chosen by their ids; p_from chooses a shorter window. The newest baseline of a version is in
-- force; older ones stay. A feature whose unit in the catalogue is a sign, a flag, days or hours is categorical, with up
-- to 50 categories.
CREATE OR REPLACE FUNCTION public.ml_set_baseline(
    p_reason text DEFAULT NULL,
    p_from timestamptz DEFAULT NULL,
    p_to timestamptz DEFAULT NULL,
    p_model_version text DEFAULT NULL
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- What 30 days before is must not depend on the session.
SET timezone = 'UTC'
SET jit = off
-- Fewer digits would not tell categories apart.
SET extra_float_digits = 1
AS $function$
DECLARE
    v_minimum constant integer := 200;
    v_most constant integer := 100000;
    v_to timestamptz := coalesce(p_to, now());
    v_from timestamptz := coalesce(p_from, v_to - interval '30 days');
    v_version text := coalesce(p_model_version, (SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'champion'));
    v_names text[];
    v_sources text[] := '{insert,update}'::text[];
    v_live bigint;
    v_backfilled bigint;
    v_found bigint;
    v_highest_key bigint := 4294967296;
    v_baseline_id bigint;
    v_predictions bigint;
    v_features bigint;
    v_store_performance regprocedure := to_regprocedure('ml.store_baseline_performance(bigint)');
    v_performance jsonb;
    v_warning text;
BEGIN
    IF v_version IS NULL THEN
        RAISE EXCEPTION 'there is no champion to set a baseline for: promote a model with ml.promote(), or pass p_model_version'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT m.feature_names INTO v_names FROM public.ml_models AS m WHERE m.version = v_version;
    IF v_names IS NULL THEN
        RAISE EXCEPTION 'there is no model %: SELECT version FROM ml_models lists them', v_version
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF v_from >= v_to THEN
        RAISE EXCEPTION 'the window from % to % is empty: p_from must come before p_to', v_from, v_to
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT count(*) FILTER (WHERE p.source IN ('insert', 'update')), count(*) FILTER (WHERE p.source = 'backfill')
    INTO v_live, v_backfilled
    FROM public.ml_predictions AS p
    WHERE p.predicted_at >= v_from AND p.predicted_at < v_to
        AND p.model_version = v_version AND p.source IN ('insert', 'update', 'backfill')
        AND p.role IN ('champion', 'challenger') AND p.features IS NOT NULL AND NOT p.cache_hit;
    v_found := v_live;
    IF v_live < v_minimum AND v_backfilled > 0 THEN
        v_found := v_live + v_backfilled;
        v_sources := '{insert,update,backfill}'::text[];
    END IF;
    IF v_found = 0 THEN
        RAISE EXCEPTION '% has no prediction with features from % to %: score events first, or pass an earlier p_from',
            v_version, v_from, v_to USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF v_found < v_minimum THEN
        v_warning := format(
            '%s has %s predictions with features from %s to %s, and verdicts take %s: set it anew when there are more',
            v_version, v_found, v_from, v_to, v_minimum);
        IF EXISTS (
            SELECT FROM public.ml_baselines AS b WHERE b.model_version = v_version AND b.predictions >= v_minimum
        ) THEN
            RAISE EXCEPTION '% has only % predictions with features from % to %, fewer than its baseline: wait until there are % or pass an earlier p_from',
                v_version, v_found, v_from, v_to, v_minimum USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
    END IF;
    IF v_found > v_most THEN
        v_highest_key := (v_most / v_found::double precision * 4294967296)::bigint;
    END IF;

    -- One statement, so that what arrives meanwhile is in all of it or in nothing.
    WITH prediction AS MATERIALIZED (
        SELECT
            ('x' || right(p.id::text, 8))::bit(32)::bigint AS key,
            CASE
                WHEN cardinality(p.features) = cardinality(v_names) THEN p.features
                -- Logged from elsewhere: what is not there is missing.
                ELSE p.features[1:cardinality(v_names)] || array_fill(
                    NULL::double precision, ARRAY[greatest(cardinality(v_names) - cardinality(p.features), 0)])
            END || ARRAY[p.ml_confidence, p.blended_confidence, p.rule_confidence] AS readings
        FROM public.ml_predictions AS p
        WHERE p.predicted_at >= v_from AND p.predicted_at < v_to
            AND p.model_version = v_version AND p.source = ANY (v_sources)
            AND p.role IN ('champion', 'challenger') AND p.features IS NOT NULL AND NOT p.cache_hit
            -- The end of an id is random, whichever kind of uuid it is.
            AND ('x' || right(p.id::text, 8))::bit(32)::bigint < v_highest_key
    ),

    baseline AS (
        INSERT INTO public.ml_baselines (reason, model_version, window_from, window_to, predictions, sources)
        SELECT p_reason, v_version, v_from, v_to, (SELECT count(*) FROM prediction), v_sources
        RETURNING ml_baselines.baseline_id, ml_baselines.predictions
    ),

    -- Above this key a prediction is not part of the sample.
    sampled AS MATERIALIZED (
        SELECT coalesce((SELECT p.key FROM prediction AS p ORDER BY p.key OFFSET 4999 LIMIT 1), 4294967296) AS highest_key
    ),

    gathered AS MATERIALIZED (
        SELECT
            reading.place,
            count(*) FILTER (WHERE reading.value IS NULL) AS missing,
            count(*) FILTER (WHERE NOT reading.value BETWEEN -1e100 AND 1e100) AS not_finite,
            array_agg(reading.value) FILTER (WHERE reading.value BETWEEN -1e100 AND 1e100) AS readings,
            array_agg(reading.value)
                FILTER (WHERE reading.value BETWEEN -1e100 AND 1e100 AND prediction.key <= sampled.highest_key) AS sample
        FROM prediction
        CROSS JOIN sampled
        CROSS JOIN LATERAL unnest(prediction.readings) WITH ORDINALITY AS reading (value, place)
        GROUP BY reading.place
    ),

    named AS (
        SELECT
            gathered.*,
            CASE WHEN gathered.place <= cardinality(v_names) THEN 'feature' ELSE 'score' END AS subject,
            (v_names || ARRAY['ml_confidence', 'blended_confidence', 'rule_confidence'])[gathered.place] AS feature
        FROM gathered
    ),

    stored AS (
        INSERT INTO public.ml_baseline_features (
            baseline_id, subject, feature, kind, n, n_missing, n_not_finite, mean, sd_pop, min, max, edges, counts,
            categories, sample
        )
        SELECT
            baseline.baseline_id,
            named.subject,
            named.feature,
            kind.kind,
            described.n,
            named.missing,
            named.not_finite,
            described.mean,
            described.sd_pop,
            described.min,
            described.max,
            described.edges,
            described.counts,
            described.categories,
            ARRAY(SELECT value FROM unnest(named.sample) AS value ORDER BY value)
        FROM named
        CROSS JOIN baseline
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN named.subject = 'feature'
                    AND (SELECT f.unit FROM public.ml_features AS f WHERE f.name = named.feature) IN ('sign', 'flag', 'days', 'hours')
                    AND (SELECT count(DISTINCT value) FROM unnest(named.readings) AS value) <= 50
                    THEN 'categorical'
                ELSE 'numeric'
            END AS kind
        ) AS kind
        CROSS JOIN LATERAL ml.describe_values(coalesce(named.readings, '{}'), kind.kind) AS described
        RETURNING feature
    )

    SELECT max(baseline.baseline_id), max(baseline.predictions), (SELECT count(*) FROM stored)
    INTO v_baseline_id, v_predictions, v_features
    FROM baseline;

    IF v_store_performance IS NOT NULL THEN
        EXECUTE format('SELECT to_jsonb(stored) FROM %s($1) AS stored', v_store_performance::regproc)
        INTO v_performance USING v_baseline_id;
    END IF;

    RETURN CASE WHEN v_warning IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('warning', v_warning) END || jsonb_build_object(
        'status', 'success',
        'baseline_id', v_baseline_id,
        'model_version', v_version,
        'window_from', v_from,
        'window_to', v_to,
        'sources', to_jsonb(v_sources),
        'predictions_found', v_found,
        'predictions', v_predictions,
        'rows', v_features,
        'performance', v_performance
    );
END
$function$;
COMMENT ON FUNCTION public.ml_set_baseline IS
    'Freezes the features and scores of a window of predictions as what later ones are compared with.';
REVOKE ALL ON FUNCTION public.ml_set_baseline FROM PUBLIC;
