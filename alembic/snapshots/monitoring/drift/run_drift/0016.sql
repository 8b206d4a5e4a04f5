-- Measures drift of every live version that has a baseline, stores a row per feature and score, and sums it up.
-- Called by: ml.run_step, operators. Calls: ml.lock_job, ml.feature_drift, ml.feature_drift_score.
-- Reads: ml_predictions, ml_baselines, ml_aliases.
-- Writes: ml_drift.

-- The window ends at p_at, which names the run: a second run for the same time and method replaces the first. Versions:
-- the champion, and whichever else was acted on in the window. A version has drifted when at least half of the features
-- with a verdict have (Evidently's share). p_window NULL: for each version the shortest of 24 hours, 7 days and
-- 30 days that has 200 predictions, for those who see fewer a day. status: done | no_baseline.
CREATE OR REPLACE FUNCTION ml.run_drift(
    p_at timestamptz DEFAULT now(),
    p_window interval DEFAULT '24 hours',
    p_method text DEFAULT 'jensen_shannon'
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_at timestamptz := coalesce(p_at, now());
    v_from timestamptz;
    v_version_from timestamptz;
    v_version text;
    v_versions jsonb := '[]'::jsonb;
    v_problems text[] := '{}'::text[];
    v_rows bigint := 0;
    v_summary jsonb;
BEGIN
    IF (p_window > '0' AND p_window < '100 years') IS FALSE OR v_at IN ('infinity', '-infinity') THEN
        RAISE EXCEPTION 'a run of drift needs a time and a window above zero, such as interval ''24 hours'''
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_from := v_at - coalesce(p_window, interval '30 days');
    -- Refuses a method that does not exist before anything is replaced.
    PERFORM FROM ml.feature_drift(v_from, v_at, p_method, '');
    -- Two runs for the same time at once: the second waits and replaces the first.
    PERFORM ml.lock_job('drift', true);
    DELETE FROM public.ml_drift AS d
    WHERE d.run_at = v_at AND d.method = ANY (CASE p_method
        WHEN 'wasserstein' THEN ARRAY['wasserstein', 'jensen_shannon_natural']
        WHEN 'kolmogorov_smirnov' THEN ARRAY['kolmogorov_smirnov', 'chi_square']
        WHEN 'chi_square' THEN ARRAY['kolmogorov_smirnov', 'chi_square']
        ELSE ARRAY[p_method]
    END);

    FOR v_version IN
        SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'champion'
        UNION
        SELECT DISTINCT p.model_version
        FROM public.ml_predictions AS p
        WHERE p.predicted_at >= v_from AND p.predicted_at < v_at AND p.source IN ('insert', 'update')
            AND p.role IN ('champion', 'challenger') AND p.features IS NOT NULL
        ORDER BY 1
    LOOP
        IF NOT EXISTS (SELECT FROM public.ml_baselines AS b WHERE b.model_version = v_version) THEN
            v_problems := v_problems || format(
                '%s has no baseline: set one with ml_set_baseline(p_model_version => %L)', v_version, v_version);
            CONTINUE;
        END IF;
        SELECT coalesce(max(candidate.window_from), v_from) INTO v_version_from
        FROM (VALUES (v_at - interval '24 hours'), (v_at - interval '7 days')) AS candidate (window_from)
        WHERE p_window IS NULL AND 200 <= (
            SELECT count(*) FROM (
                SELECT FROM public.ml_predictions AS p
                WHERE p.predicted_at >= candidate.window_from AND p.predicted_at < v_at
                    AND p.source IN ('insert', 'update') AND p.role IN ('champion', 'challenger')
                    AND p.model_version = v_version AND p.features IS NOT NULL AND NOT p.cache_hit
                LIMIT 200
            ) AS enough
        );

        WITH stored AS (
            INSERT INTO public.ml_drift (
                run_at, model_version, baseline_id, window_from, window_to, subject, feature, method, value, p_value,
                n_baseline, n_current, missing_rate, baseline_missing_rate, unseen_rate, out_of_range_rate, verdict,
                quality_verdict, not_finite_rate, invalid_rate, watch_threshold, drift_threshold
            )
            SELECT
                v_at, drift.model_version, drift.baseline_id, drift.window_from, drift.window_to, drift.subject,
                drift.feature, drift.method, drift.value, drift.p_value, drift.n_baseline, drift.n_current,
                drift.missing_rate, drift.baseline_missing_rate, drift.unseen_rate, drift.out_of_range_rate,
                drift.verdict, drift.quality_verdict, drift.not_finite_rate, drift.invalid_rate, drift.watch_threshold,
                drift.drift_threshold
            FROM ml.feature_drift(v_version_from, v_at, p_method, v_version) AS drift
            RETURNING *
        ),

        verdicts AS (
            SELECT
                stored.*,
                stored.subject = 'feature' AND stored.verdict <> 'insufficient_data' AS is_judged
            FROM stored
        )

        SELECT jsonb_build_object(
            'model_version', v_version,
            'baseline_id', max(verdicts.baseline_id),
            'window_from', v_version_from,
            'verdict', CASE
                WHEN count(*) FILTER (WHERE verdicts.is_judged) = 0 THEN 'insufficient_data'
                WHEN count(*) FILTER (WHERE verdicts.is_judged AND verdicts.verdict = 'drift')
                    >= 0.5 * count(*) FILTER (WHERE verdicts.is_judged) THEN 'drift'
                ELSE 'ok'
            END,
            'features', count(*) FILTER (WHERE verdicts.subject = 'feature'),
            'features_judged', count(*) FILTER (WHERE verdicts.is_judged),
            'features_drifted', count(*) FILTER (WHERE verdicts.is_judged AND verdicts.verdict = 'drift'),
            'features_watched', count(*) FILTER (WHERE verdicts.is_judged AND verdicts.verdict = 'watch'),
            'share_drifted', count(*) FILTER (WHERE verdicts.is_judged AND verdicts.verdict = 'drift')
                / nullif(count(*) FILTER (WHERE verdicts.is_judged), 0)::double precision,
            'quality_issues', count(*) FILTER (WHERE verdicts.quality_verdict = 'issue'),
            'scores', jsonb_object_agg(verdicts.feature, verdicts.verdict) FILTER (WHERE verdicts.subject = 'score'),
            'most_values', max(verdicts.n_current),
            'rows', count(*)
        )
        INTO v_summary
        FROM verdicts;
        v_rows := v_rows + (v_summary ->> 'rows')::bigint;
        v_versions := v_versions || v_summary;
    END LOOP;

    RETURN jsonb_build_object(
        'status', CASE WHEN v_rows > 0 THEN 'done' ELSE 'no_baseline' END,
        'run_at', v_at,
        'window_to', v_at,
        'method', p_method,
        'rows', v_rows,
        'feature_drift_score', ml.feature_drift_score(v_at),
        'versions', v_versions,
        'problems', to_jsonb(v_problems)
    );
END
$function$;
COMMENT ON FUNCTION ml.run_drift IS
    'Measures drift of every live version that has a baseline, stores a row per feature and score, and sums it up.';
REVOKE ALL ON FUNCTION ml.run_drift FROM PUBLIC;
