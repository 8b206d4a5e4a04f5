-- Gates of the present stage of a canary, of a shadow, or of the rollout of ML itself, one row each; stores nothing.
-- Called by: ml.advance, operators. Calls: ml.compare_versions, ml.compare_with_rules, ml.sample_ratio_test.
-- Reads: ml_gates, ml_settings, ml_aliases, ml_deployments, ml_predictions, ml.scoring_context. Writes: nothing.

-- Counted are the scorings since the stage began: of the challenger, acted on or in shadow, when there is one, else of
-- the champion. broken: worse than what opens the circuit breaker, with enough calls to say so.
CREATE OR REPLACE FUNCTION ml.check_stage(p_at timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (
    gate text,
    passed boolean,
    blocking boolean,
    value double precision,
    threshold double precision,
    detail text,
    broken boolean
)
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_settings public.ml_settings;
    v_champion text;
    v_challenger text;
    v_since timestamptz;
    v_calls record;
    v_scores_any boolean;
    v_percent double precision;
    v_ratio record;
    v_outcomes record;
BEGIN
    SELECT * INTO v_settings FROM public.ml_settings;
    SELECT a.version INTO v_champion FROM public.ml_aliases AS a WHERE a.alias = 'champion';
    SELECT a.version INTO v_challenger FROM public.ml_aliases AS a WHERE a.alias = 'challenger';
    v_percent := CASE WHEN v_challenger IS NOT NULL THEN v_settings.canary_percent ELSE v_settings.rollout_percent END;
    -- At 0 % without a shadow nothing can be counted, and nothing can go wrong.
    v_scores_any := v_percent > 0 OR (v_challenger IS NOT NULL AND v_settings.shadow_percent > 0);
    SELECT max(d.occurred_at) INTO v_since FROM public.ml_deployments AS d
    WHERE d.occurred_at <= p_at AND CASE
        WHEN v_challenger IS NOT NULL THEN d.action IN ('challenger', 'canary')
        ELSE d.action IN ('rollout', 'install', 'promote', 'rollback', 'enable')
    END;

    SELECT
        count(*) AS calls,
        count(*) FILTER (WHERE p.role <> 'shadow') AS acted_on,
        count(*) FILTER (WHERE p.error_sqlstate IS NOT NULL
            OR p.fallback_reason IN ('score_invalid', 'champion_failed', 'challenger_failed')) AS failures,
        count(*) FILTER (WHERE p.fallback_reason IS NOT NULL AND p.fallback_reason <> 'rule_confidence_invalid') AS fallbacks,
        count(p.latency_us) FILTER (WHERE NOT p.cold AND NOT p.cache_hit) AS warm_calls,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY p.latency_us) FILTER (WHERE NOT p.cold AND NOT p.cache_hit)
            / 1000 AS latency_p95
    INTO v_calls
    FROM public.ml_predictions AS p
    WHERE p.predicted_at >= v_since AND p.predicted_at <= p_at AND p.source IN ('insert', 'update')
        AND CASE
            WHEN v_challenger IS NOT NULL THEN p.role = 'challenger' OR (p.role = 'shadow' AND p.model_version = v_challenger)
            ELSE p.role = 'champion'
        END;

    IF v_percent > 0 AND v_percent < 100 THEN
        SELECT test.* INTO v_ratio FROM (
            SELECT
                count(*) FILTER (WHERE p.role = 'challenger' OR (v_challenger IS NULL AND p.arm = 'ml')) AS chosen,
                count(*) AS events
            FROM public.ml_predictions AS p
            WHERE p.predicted_at >= v_since AND p.predicted_at <= p_at AND p.source = 'insert'
                AND CASE
                    -- Events that no model could score were given to neither.
                    WHEN v_challenger IS NOT NULL THEN p.role IN ('champion', 'challenger') AND p.ml_confidence IS NOT NULL
                    ELSE p.role = 'champion' OR p.fallback_reason = 'not_in_rollout'
                END
        ) AS counted
        CROSS JOIN LATERAL ml.sample_ratio_test(
            ARRAY[counted.chosen, counted.events - counted.chosen], ARRAY[v_percent, 100 - v_percent]) AS test;
    ELSE
        SELECT NULL::double precision AS p_value INTO v_ratio;
    END IF;

    IF v_challenger IS NOT NULL THEN
        -- Since it challenges: labels come late, and a stage alone would have few.
        SELECT
            c.labelled, c.brier_difference AS difference, c.brier_difference > 0 AS is_worse,
            c.brier_always_valid AS p_value, 'Brier score, challenger less champion' AS what
        INTO v_outcomes
        FROM ml.compare_versions(v_champion, v_challenger, (
            SELECT max(d.occurred_at) FROM public.ml_deployments AS d
            WHERE d.action = 'challenger' AND d.version = v_challenger AND d.occurred_at <= p_at
        ), p_at) AS c;
    ELSE
        SELECT
            c.labelled, c.auc_difference AS difference, c.auc_difference < 0 AS is_worse,
            c.auc_always_valid AS p_value, 'ROC-AUC, ML less rules' AS what
        INTO v_outcomes
        FROM ml.compare_with_rules(v_champion, v_since, p_at) AS c;
    END IF;

    FOR gate, passed, value, threshold, detail, blocking IN
        SELECT
            g.gate,
            g.known AND CASE g.gate
                WHEN 'stage predictions' THEN v_calls.calls >= g.threshold OR NOT v_scores_any
                WHEN 'stage acted on' THEN v_calls.acted_on >= g.threshold OR v_percent = 0
                WHEN 'stage hours' THEN p_at - v_since >= g.threshold * interval '1 hour'
                WHEN 'stage errors' THEN v_calls.failures <= limits.most * v_calls.calls
                WHEN 'stage fallbacks' THEN v_calls.fallbacks <= limits.most * v_calls.calls
                WHEN 'stage latency' THEN coalesce(v_calls.latency_p95 <= limits.most, true)
                WHEN 'stage sample ratio' THEN coalesce(v_ratio.p_value >= g.threshold, true)
                WHEN 'stage outcomes' THEN NOT coalesce(v_outcomes.is_worse AND v_outcomes.p_value < g.threshold, false)
                WHEN 'stage breaker' THEN context.breaker_opened_at IS NULL
                    AND v_challenger IS NOT DISTINCT FROM context.challenger_version
            END,
            CASE g.gate
                WHEN 'stage predictions' THEN v_calls.calls
                WHEN 'stage acted on' THEN v_calls.acted_on
                WHEN 'stage hours' THEN extract(epoch FROM p_at - v_since)::double precision / 3600
                WHEN 'stage errors' THEN v_calls.failures::double precision / nullif(v_calls.calls, 0)
                WHEN 'stage fallbacks' THEN v_calls.fallbacks::double precision / nullif(v_calls.calls, 0)
                WHEN 'stage latency' THEN v_calls.latency_p95
                WHEN 'stage sample ratio' THEN v_ratio.p_value
                WHEN 'stage outcomes' THEN CASE WHEN v_outcomes.is_worse THEN v_outcomes.p_value END
            END,
            limits.most,
            CASE g.gate
                WHEN 'stage predictions' THEN format('%s scorings since %s', v_calls.calls, v_since)
                WHEN 'stage acted on' THEN format('%s of them were acted on', v_calls.acted_on)
                WHEN 'stage hours' THEN format('the stage began at %s', v_since)
                WHEN 'stage errors' THEN format('%s of %s calls failed', v_calls.failures, v_calls.calls)
                WHEN 'stage fallbacks' THEN format('%s of %s calls fell back', v_calls.fallbacks, v_calls.calls)
                WHEN 'stage latency' THEN CASE WHEN v_calls.warm_calls = 0 THEN 'no warm call yet' ELSE format(
                    '95th percentile of %s warm calls is %s ms', v_calls.warm_calls, round(v_calls.latency_p95::numeric, 2)) END
                WHEN 'stage sample ratio' THEN CASE WHEN v_ratio.p_value IS NULL THEN 'nothing to compare at this stage'
                    ELSE format('share of the events against %s %%: p = %s', v_percent, round(v_ratio.p_value::numeric, 4)) END
                WHEN 'stage outcomes' THEN CASE
                    WHEN v_outcomes.p_value IS NULL
                        THEN format('too few outcomes to compare (%s)', coalesce(v_outcomes.labelled, 0))
                    ELSE format('%s: %s on %s outcomes, always-valid p = %s',
                        v_outcomes.what, round(v_outcomes.difference::numeric, 4), v_outcomes.labelled,
                        round(v_outcomes.p_value::numeric, 4)) END
                WHEN 'stage breaker' THEN CASE
                    WHEN v_challenger IS DISTINCT FROM context.challenger_version
                        THEN format('challenger %s was stopped: mend it and call ml.set_challenger()', v_challenger)
                    WHEN context.breaker_opened_at IS NULL THEN 'the circuit breaker is closed'
                    ELSE format('the circuit breaker is open since %s', context.breaker_opened_at) END
            END || CASE WHEN g.known THEN '' ELSE ' (table ml_gates has no row of this gate: restore it)' END,
            g.blocking
        FROM (
            -- A gate without a row has nothing to compare with: it fails, and says so.
            SELECT stage.gate, stage.place, known.threshold, coalesce(known.blocking, true) AS blocking, known.gate IS NOT NULL AS known
            FROM unnest(ARRAY[
                'stage predictions', 'stage acted on', 'stage hours', 'stage errors', 'stage fallbacks', 'stage latency',
                'stage sample ratio', 'stage outcomes', 'stage breaker'
            ]) WITH ORDINALITY AS stage (gate, place)
            LEFT JOIN public.ml_gates AS known ON known.gate = stage.gate
        ) AS g
        CROSS JOIN ml.scoring_context AS context
        CROSS JOIN LATERAL (
            SELECT coalesce(g.threshold, CASE g.gate
                WHEN 'stage errors' THEN v_settings.error_warning_rate
                WHEN 'stage fallbacks' THEN v_settings.fallback_warning_rate
                WHEN 'stage latency' THEN v_settings.latency_target_ms
            END) AS most
        ) AS limits
        ORDER BY g.place
    LOOP
        broken := CASE gate
            WHEN 'stage errors' THEN v_calls.calls >= v_settings.breaker_minimum_calls
                AND v_calls.failures > v_settings.breaker_error_rate * v_calls.calls
            WHEN 'stage latency' THEN v_calls.warm_calls >= v_settings.breaker_minimum_calls
                AND v_calls.latency_p95 > v_settings.breaker_latency_ms
            ELSE false
        END;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION ml.check_stage IS
    'Gates of the present stage of a canary, of a shadow, or of the rollout of ML itself, one row each; stores nothing.';
REVOKE ALL ON FUNCTION ml.check_stage FROM PUBLIC;
