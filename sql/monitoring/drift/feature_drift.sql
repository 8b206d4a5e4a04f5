-- Distance of every feature and score of a version from its baseline over a window, with verdicts; the worst come first.
-- Called by: ml.run_drift, people. Calls: ml.drift_limits, ml.measure_drift, ml.wilson_interval.
-- Reads: ml_predictions, ml_models, ml_aliases, ml_features, ml_baselines, ml_baseline_features. Writes: nothing.

-- Compared are the predictions with features that the version made and that were acted on (champion, canary), live ones
-- unless p_sources says otherwise; a score that an UPDATE kept (cache_hit) is the same prediction once more and left out.
-- Of more than 100,000 (20,000 where methods take values) a fixed share, chosen by their ids. Defaults: the last 24 hours,
-- the champion, its newest baseline.
--   p_method              numeric                  categorical              compared with
--   jensen_shannon        base 2, Doane's bins     base 2, by category      the frozen bins of the baseline
--   hellinger             Doane's bins             by category              the frozen bins of the baseline
--   psi                   Evidently's bins         by category              the sample of the baseline
--   jensen_shannon_natural  base e, Evidently's    base e, by category      the sample of the baseline
--   wasserstein           in sd of the baseline    jensen_shannon_natural   the sample of the baseline
--   kolmogorov_smirnov    two-sample test          chi_square               the sample; the frozen counts
--   chi_square            kolmogorov_smirnov       test of homogeneity      the sample; the frozen counts
-- verdict: drift | watch | ok, by ml.drift_limits; insufficient_data below its minimum on either side. p-values are
-- corrected for the number of features (of scores: of scores) tested: bonferroni | benjamini_hochberg | none.
-- quality_verdict, with shares of all compared predictions and Wilson's bounds at three standard errors:
--   issue: a value outside the catalogue's valid_min to valid_max (scores: 0 to 1), a category that the baseline does
--          not have, NaN or infinity where the baseline had none; or, from 20 predictions on, surely more than one
--          percentage point more missing (or not finite) than in the baseline, or surely more than 1 % (and more than
--          chance explains) of a feature outside the baseline's smallest to largest value. A score beyond them is no
--          poor datum: its drift is judged.
CREATE OR REPLACE FUNCTION ml.feature_drift(
    p_from timestamptz DEFAULT NULL,
    p_to timestamptz DEFAULT NULL,
    p_method text DEFAULT 'jensen_shannon',
    p_model_version text DEFAULT NULL,
    p_correction text DEFAULT 'bonferroni',
    p_baseline_id bigint DEFAULT NULL,
    p_sources text[] DEFAULT ARRAY['insert', 'update']
)
RETURNS TABLE (
    model_version text,
    baseline_id bigint,
    window_from timestamptz,
    window_to timestamptz,
    subject text,
    feature text,
    method text,
    value double precision,
    p_value double precision,
    n_baseline bigint,
    n_current bigint,
    missing_rate double precision,
    baseline_missing_rate double precision,
    unseen_rate double precision,
    out_of_range_rate double precision,
    verdict text,
    quality_verdict text,
    not_finite_rate double precision,
    invalid_rate double precision,
    watch_threshold double precision,
    drift_threshold double precision
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
-- What a day before is must not depend on the session.
SET timezone = 'UTC'
SET jit = off
AS $function$
DECLARE
    v_to timestamptz := coalesce(p_to, now());
    v_from timestamptz := coalesce(p_from, v_to - interval '24 hours');
    v_version text;
    v_baseline bigint;
    v_names text[];
    v_numeric_method text := CASE p_method WHEN 'chi_square' THEN 'kolmogorov_smirnov' ELSE p_method END;
    v_categorical_method text := CASE p_method
        WHEN 'wasserstein' THEN 'jensen_shannon_natural'
        WHEN 'kolmogorov_smirnov' THEN 'chi_square'
        ELSE p_method
    END;
    v_takes_values boolean := v_numeric_method NOT IN ('jensen_shannon', 'hellinger');
    -- The sample of the baseline has 5,000 values: many times more on the other side tell little more and cost a sort.
    v_most double precision := CASE WHEN v_takes_values THEN 20000 ELSE 100000 END;
    v_highest_key bigint;
BEGIN
    IF p_method NOT IN (
        'jensen_shannon', 'hellinger', 'psi', 'jensen_shannon_natural', 'wasserstein', 'kolmogorov_smirnov', 'chi_square'
    ) OR p_method IS NULL THEN
        RAISE EXCEPTION '% is not a method of drift: use jensen_shannon, hellinger, psi, jensen_shannon_natural, '
            'wasserstein, kolmogorov_smirnov or chi_square', coalesce(p_method, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_correction NOT IN ('bonferroni', 'benjamini_hochberg', 'none') OR p_correction IS NULL THEN
        RAISE EXCEPTION '% is not a correction: use bonferroni, benjamini_hochberg or none', coalesce(p_correction, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF v_from >= v_to THEN
        RAISE EXCEPTION 'the window from % to % is empty: its start must come before its end', v_from, v_to
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT b.baseline_id, b.model_version INTO v_baseline, v_version
    FROM public.ml_baselines AS b
    WHERE CASE
        WHEN p_baseline_id IS NOT NULL THEN b.baseline_id = p_baseline_id
        ELSE b.model_version = coalesce(
            p_model_version, (SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'champion'))
    END
    ORDER BY b.baseline_id DESC
    LIMIT 1;
    -- Two versions with the same features may share a baseline.
    v_version := coalesce(p_model_version, v_version);
    IF v_baseline IS NULL THEN
        RETURN;
    END IF;
    SELECT m.feature_names INTO v_names FROM public.ml_models AS m WHERE m.version = v_version;

    SELECT (least(v_most / greatest(count(*), 1), 1) * 4294967296)::bigint
    INTO v_highest_key
    FROM public.ml_predictions AS p
    WHERE p.predicted_at >= v_from AND p.predicted_at < v_to
        AND p.model_version = v_version AND p.source = ANY (p_sources)
        AND p.role IN ('champion', 'challenger') AND p.features IS NOT NULL AND NOT p.cache_hit;

    RETURN QUERY
    WITH baseline AS MATERIALIZED (
        SELECT
            b.subject,
            b.feature,
            b.kind,
            CASE b.subject
                WHEN 'feature' THEN array_position(v_names, b.feature)
                ELSE cardinality(v_names)
                    + array_position(ARRAY['ml_confidence', 'blended_confidence', 'rule_confidence'], b.feature)
            END AS place,
            b.n,
            b.n_missing / nullif(b.n + b.n_missing + b.n_not_finite, 0)::double precision AS missing_rate,
            b.n_not_finite / nullif(b.n + b.n_missing + b.n_not_finite, 0)::double precision AS not_finite_rate,
            b.min,
            b.max,
            b.edges,
            b.counts,
            cardinality(b.counts) AS bins,
            CASE WHEN v_takes_values THEN b.sample END AS sample,
            -- A share that is 1 but for the rounding of a sum is valid.
            CASE b.subject WHEN 'score' THEN 0 ELSE c.valid_min - 1e-9 * greatest(1, abs(c.valid_min)) END AS valid_min,
            CASE b.subject WHEN 'score' THEN 1 ELSE c.valid_max + 1e-9 * greatest(1, abs(c.valid_max)) END AS valid_max,
            CASE b.kind WHEN 'numeric' THEN v_numeric_method ELSE v_categorical_method END AS method
        FROM public.ml_baseline_features AS b
        LEFT JOIN public.ml_features AS c ON b.subject = 'feature' AND c.name = b.feature
        WHERE b.baseline_id = v_baseline
    ),

    prediction AS MATERIALIZED (
        SELECT
            CASE
                WHEN cardinality(p.features) = cardinality(v_names) THEN p.features
                -- Logged from elsewhere: what is not there is missing.
                ELSE p.features[1:cardinality(v_names)] || array_fill(
                    NULL::double precision, ARRAY[greatest(cardinality(v_names) - cardinality(p.features), 0)])
            END || ARRAY[p.ml_confidence, p.blended_confidence, p.rule_confidence] AS readings
        FROM public.ml_predictions AS p
        WHERE p.predicted_at >= v_from AND p.predicted_at < v_to
            AND p.model_version = v_version AND p.source = ANY (p_sources)
            AND p.role IN ('champion', 'challenger') AND p.features IS NOT NULL AND NOT p.cache_hit
            -- The end of an id is random, whichever kind of uuid it is.
            AND ('x' || right(p.id::text, 8))::bit(32)::bigint < v_highest_key
    ),

    -- Bin 0: a value outside all bins; -1: missing; -2: not finite.
    binned AS MATERIALIZED (
        SELECT
            baseline.place,
            CASE
                WHEN reading.value IS NULL THEN -1
                WHEN NOT reading.value BETWEEN -1e100 AND 1e100 THEN -2
                WHEN baseline.n = 0 THEN 0
                WHEN baseline.kind = 'categorical' THEN
                    CASE
                        WHEN baseline.edges[width_bucket(reading.value, baseline.edges)] = reading.value
                            THEN width_bucket(reading.value, baseline.edges)
                        ELSE 0
                    END
                WHEN reading.value < baseline.min OR reading.value > baseline.max THEN 0
                WHEN reading.value = baseline.max THEN baseline.bins
                ELSE width_bucket(reading.value, baseline.edges)
            END AS bin,
            -- Each category that the baseline has not is one of its own.
            CASE
                WHEN baseline.kind = 'categorical' AND reading.value BETWEEN -1e100 AND 1e100
                    AND baseline.edges[width_bucket(reading.value, baseline.edges)] IS DISTINCT FROM reading.value
                    THEN reading.value
            END AS unseen,
            count(*) AS readings,
            count(*) FILTER (WHERE reading.value < baseline.valid_min OR reading.value > baseline.valid_max) AS invalid
        FROM prediction
        CROSS JOIN LATERAL unnest(prediction.readings) WITH ORDINALITY AS reading (value, place)
        JOIN baseline ON baseline.place = reading.place
        GROUP BY 1, 2, 3
    ),

    gathered AS MATERIALIZED (
        SELECT reading.place, array_agg(reading.value) AS readings
        FROM prediction
        CROSS JOIN LATERAL unnest(prediction.readings) WITH ORDINALITY AS reading (value, place)
        WHERE v_takes_values AND reading.value BETWEEN -1e100 AND 1e100
        GROUP BY reading.place
    ),

    counted AS (
        SELECT
            baseline.place,
            coalesce(sum(binned.readings), 0)::bigint AS readings,
            coalesce(sum(binned.readings) FILTER (WHERE binned.bin >= 0), 0)::bigint AS finite,
            coalesce(sum(binned.readings) FILTER (WHERE binned.bin = 0), 0)::bigint AS outside,
            coalesce(sum(binned.readings) FILTER (WHERE binned.bin = -1), 0)::bigint AS missing,
            coalesce(sum(binned.readings) FILTER (WHERE binned.bin = -2), 0)::bigint AS not_finite,
            coalesce(sum(binned.invalid) FILTER (WHERE binned.bin >= 0), 0)::bigint AS invalid,
            array_agg(binned.readings ORDER BY binned.unseen) FILTER (WHERE binned.bin = 0) AS outside_counts
        FROM baseline
        LEFT JOIN binned ON binned.place = baseline.place
        GROUP BY baseline.place
    ),

    histogram AS (
        SELECT baseline.place, array_agg(coalesce(binned.readings, 0) ORDER BY bin.i) AS counts
        FROM baseline
        CROSS JOIN LATERAL generate_series(1, baseline.bins) AS bin (i)
        LEFT JOIN binned ON binned.place = baseline.place AND binned.bin = bin.i
        GROUP BY baseline.place
    ),

    measured AS MATERIALIZED (
        SELECT
            baseline.*,
            counted.readings,
            counted.finite,
            counted.outside,
            counted.missing,
            counted.not_finite,
            counted.invalid,
            drift.value,
            drift.p_value,
            limits.is_test,
            limits.watch_from,
            limits.drift_from,
            least(baseline.n, counted.finite) >= limits.watch_minimum AS is_enough_to_watch,
            least(baseline.n, counted.finite) >= limits.drift_minimum AND drift.value IS NOT NULL AS is_enough
        FROM baseline
        JOIN counted ON counted.place = baseline.place
        LEFT JOIN histogram ON histogram.place = baseline.place
        LEFT JOIN gathered ON gathered.place = baseline.place
        CROSS JOIN LATERAL ml.drift_limits(baseline.method) AS limits
        CROSS JOIN LATERAL ml.measure_drift(
            baseline.method, baseline.kind, baseline.counts, histogram.counts || counted.outside_counts,
            baseline.sample, gathered.readings) AS drift
    ),

    ranked AS (
        SELECT
            measured.*,
            count(*) FILTER (WHERE measured.is_test AND measured.is_enough) OVER subjects AS tests,
            CASE WHEN measured.is_test AND measured.is_enough THEN rank() OVER tested END AS p_rank
        FROM measured
        WINDOW
            subjects AS (PARTITION BY measured.subject),
            tested AS (PARTITION BY measured.subject, measured.is_test, measured.is_enough ORDER BY measured.p_value)
    ),

    corrected AS (
        SELECT
            ranked.*,
            CASE
                WHEN NOT ranked.is_test THEN ranked.drift_from
                WHEN NOT ranked.is_enough OR p_correction = 'none' THEN ranked.drift_from
                WHEN p_correction = 'bonferroni' THEN ranked.drift_from / ranked.tests
                -- Benjamini and Hochberg: the largest p-value that is below its rank's share of the level.
                ELSE coalesce(
                    max(ranked.p_value) FILTER (
                        WHERE ranked.is_test AND ranked.is_enough
                            AND ranked.p_value <= ranked.drift_from * ranked.p_rank / ranked.tests) OVER subjects,
                    ranked.drift_from / ranked.tests)
            END AS drift_limit
        FROM ranked
        WINDOW subjects AS (PARTITION BY ranked.subject)
    ),

    judged AS (
        SELECT
            corrected.*,
            CASE
                WHEN NOT corrected.is_enough THEN 'insufficient_data'
                WHEN corrected.is_test THEN CASE WHEN corrected.p_value <= corrected.drift_limit THEN 'drift' ELSE 'ok' END
                WHEN corrected.value >= corrected.drift_limit THEN 'drift'
                WHEN corrected.value >= corrected.watch_from AND corrected.is_enough_to_watch THEN 'watch'
                ELSE 'ok'
            END AS verdict,
            CASE
                WHEN corrected.invalid > 0
                    OR (corrected.kind = 'categorical' AND corrected.outside > 0 AND corrected.n > 0)
                    OR (corrected.not_finite > 0 AND corrected.not_finite_rate = 0)
                    THEN 'issue'
                WHEN corrected.readings < 20 THEN 'insufficient_data'
                WHEN missing.low > corrected.missing_rate + 0.01 OR not_finite.low > corrected.not_finite_rate + 0.01
                    OR (corrected.kind = 'numeric' AND corrected.subject = 'feature' AND corrected.n > 0
                        AND outside.low > greatest(0.01, 2 / (corrected.n + 1)::double precision))
                    THEN 'issue'
                ELSE 'ok'
            END AS quality_verdict
        FROM corrected
        -- Three standard errors on one side, as NannyML's limits of missing values.
        CROSS JOIN LATERAL ml.wilson_interval(corrected.missing, corrected.readings, 0.9973002039367398) AS missing
        CROSS JOIN LATERAL ml.wilson_interval(corrected.not_finite, corrected.readings, 0.9973002039367398) AS not_finite
        CROSS JOIN LATERAL ml.wilson_interval(corrected.outside, corrected.finite, 0.9973002039367398) AS outside
    )

    SELECT
        v_version,
        v_baseline,
        v_from,
        v_to,
        judged.subject,
        judged.feature,
        judged.method,
        judged.value,
        judged.p_value,
        judged.n,
        judged.finite,
        judged.missing / nullif(judged.readings, 0)::double precision,
        judged.missing_rate,
        CASE WHEN judged.kind = 'categorical' THEN judged.outside / nullif(judged.finite, 0)::double precision END,
        CASE WHEN judged.kind = 'numeric' THEN judged.outside / nullif(judged.finite, 0)::double precision END,
        judged.verdict,
        judged.quality_verdict,
        judged.not_finite / nullif(judged.readings, 0)::double precision,
        judged.invalid / nullif(judged.finite, 0)::double precision,
        judged.watch_from,
        judged.drift_limit
    FROM judged
    ORDER BY
        array_position(ARRAY['drift', 'watch', 'ok', 'insufficient_data'], judged.verdict),
        judged.p_value,
        judged.value DESC NULLS LAST,
        judged.subject,
        judged.feature;
END
$function$;
COMMENT ON FUNCTION ml.feature_drift IS
    'Distance of every feature and score of a version from its baseline over a window, with verdicts; the worst come first.';
REVOKE ALL ON FUNCTION ml.feature_drift FROM PUBLIC;
