-- Statement trigger of pattern_events: one set-based insert of what this statement scored into ml_predictions.
-- Called by: triggers pattern_events_90_log_insert, pattern_events_90_log_update.
-- Calls: ml.top_contributions, ml.score_shadow, ml.check_breaker, ml.check_challenger.
-- Reads: ml_models, ml_settings. Writes: ml_predictions, or ml_log_drops when that fails.

CREATE OR REPLACE FUNCTION ml.log_predictions()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- The user's statement never waits for a lock of ours longer than this; many writers at once wait for each other where
-- the log's files grow, which takes some hundred milliseconds on a busy disk.
SET lock_timeout = '1s'
AS $function$
DECLARE
    v_sqlstate text;
    v_message text;
    v_is_bad boolean := false;
BEGIN
    -- One block per statement, hence at most one subtransaction id, however many rows it has.
    BEGIN
        INSERT INTO public.ml_predictions (
            id, event_id, predicted_at, source, model_version, calibrator_version, role, arm,
            ml_confidence_raw, ml_confidence, rule_confidence, blended_confidence, prediction_class,
            features, contributions, feature_hash, cache_hit, ml_weight, rule_weight, fallback_reason, error_sqlstate, latency_us, cold
        )
        SELECT
            (scored.record ->> 'prediction_id')::uuid,
            event.id,
            (scored.record ->> 'scored_at')::timestamptz,
            scored.record ->> 'source',
            coalesce(event.model_version, scored.record ->> 'attempted_version'),
            scored.record ->> 'calibrator_version',
            scored.record ->> 'role',
            scored.record ->> 'arm',
            event.ml_confidence_raw,
            event.ml_confidence,
            event.rule_confidence,
            event.blended_confidence,
            event.prediction_class,
            given.features,
            CASE WHEN given.features IS NOT NULL THEN ml.top_contributions(event.model_version, given.features) END,
            scored.record ->> 'feature_hash',
            coalesce((scored.record ->> 'cache_hit')::boolean, false),
            (scored.record ->> 'ml_weight')::double precision,
            (scored.record ->> 'rule_weight')::double precision,
            scored.record ->> 'fallback_reason',
            scored.record ->> 'error_sqlstate',
            (scored.record ->> 'latency_us')::integer,
            coalesce((scored.record ->> 'cold')::boolean, false)
        FROM new_rows AS event
        CROSS JOIN LATERAL (SELECT event.ml_metadata -> 'scoring' AS record) AS scored
        CROSS JOIN LATERAL (
            SELECT CASE WHEN event.model_version IS NOT NULL THEN (
                SELECT pg_catalog.array_agg((event.ml_features ->> feature.name)::double precision ORDER BY feature.place)
                FROM public.ml_models AS model
                CROSS JOIN LATERAL pg_catalog.unnest(model.feature_names) WITH ORDINALITY AS feature (name, place)
                WHERE model.version = event.model_version
            ) END AS features
            -- Keeps the planner from computing the array once for each of its uses.
            OFFSET 0
        ) AS given
        -- A label or status update carries the record of an earlier transaction: nothing was scored. A record of
        -- this transaction that is logged already meets its own primary key.
        WHERE scored.record ->> 'event_id' = event.id::text
            AND (scored.record ->> 'scored_at')::timestamptz >= pg_catalog.transaction_timestamp()
        ON CONFLICT DO NOTHING;
    EXCEPTION WHEN OTHERS THEN
        v_sqlstate := SQLSTATE;
        v_message := SQLERRM;
    END;

    -- What the row trigger has left to do after the log, and only then: shadow scores, a look at the circuit breaker.
    IF v_sqlstate IS NULL AND pg_catalog.current_setting('ml.shadow_in', true) = pg_catalog.statement_timestamp()::text THEN
        BEGIN
            WITH logged AS (INSERT INTO public.ml_predictions (
                event_id, predicted_at, source, model_version, calibrator_version, role, arm,
                ml_confidence_raw, ml_confidence, rule_confidence, blended_confidence, prediction_class,
                features, feature_hash, ml_weight, rule_weight, fallback_reason, error_sqlstate, latency_us, cold
            )
            SELECT
                event.id,
                (scored.record ->> 'scored_at')::timestamptz,
                scored.record ->> 'source',
                scored.record #>> '{shadow,version}',
                shadow.calibrator_version,
                'shadow',
                scored.record ->> 'arm',
                shadow.ml_confidence_raw,
                shadow.ml_confidence,
                event.rule_confidence,
                shadow.blended_confidence,
                shadow.prediction_class,
                shadow.features,
                scored.record ->> 'feature_hash',
                (scored.record ->> 'ml_weight')::double precision,
                (scored.record ->> 'rule_weight')::double precision,
                shadow.fallback_reason,
                shadow.error_sqlstate,
                shadow.latency_us,
                shadow.cold
            FROM new_rows AS event
            CROSS JOIN LATERAL (SELECT event.ml_metadata -> 'scoring' AS record) AS scored
            CROSS JOIN LATERAL ml.score_shadow(
                scored.record #>> '{shadow,version}', scored.record #>> '{shadow,calibrator_version}',
                event.symbol, event.timeframe, event.ml_features, event.rule_confidence,
                (scored.record ->> 'ml_weight')::double precision, (scored.record ->> 'rule_weight')::double precision
            ) AS shadow
            WHERE scored.record ->> 'event_id' = event.id::text
                AND scored.record #>> '{shadow,version}' IS NOT NULL
                AND (scored.record ->> 'scored_at')::timestamptz >= pg_catalog.transaction_timestamp()
            RETURNING error_sqlstate, fallback_reason, latency_us, cold)
            SELECT pg_catalog.bool_or(
                logged.error_sqlstate IS NOT NULL OR logged.fallback_reason = 'score_invalid'
                OR (NOT logged.cold AND logged.latency_us > settings.breaker_latency_ms * 1000))
            INTO v_is_bad
            FROM logged CROSS JOIN public.ml_settings AS settings;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'shadow scores of this statement were not logged: % (%)', SQLERRM, SQLSTATE;
        END;
    END IF;
    v_is_bad := coalesce(v_is_bad, false)
        OR coalesce(pg_catalog.current_setting('ml.check_breaker_in', true) = pg_catalog.statement_timestamp()::text, false);
    IF v_sqlstate IS NULL AND v_is_bad THEN
        BEGIN
            PERFORM ml.check_breaker();
            PERFORM ml.check_challenger();
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'the circuit breaker was not checked: % (%)', SQLERRM, SQLSTATE;
        END;
    END IF;
    IF v_sqlstate IS NULL THEN
        RETURN NULL;
    END IF;

    BEGIN
        INSERT INTO public.ml_log_drops (event_id, prediction_id, error_sqlstate, error_message)
        SELECT event.id, (event.ml_metadata #>> '{scoring,prediction_id}')::uuid, v_sqlstate, v_message
        FROM new_rows AS event
        WHERE event.ml_metadata #>> '{scoring,event_id}' = event.id::text
            AND (event.ml_metadata #>> '{scoring,scored_at}')::timestamptz >= pg_catalog.transaction_timestamp()
        ON CONFLICT (prediction_id) DO NOTHING;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'predictions of this statement were not logged: % (%)', v_message, v_sqlstate;
    END;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.log_predictions IS
    'Statement trigger of pattern_events: one set-based insert of what this statement scored into ml_predictions.';
REVOKE ALL ON FUNCTION ml.log_predictions FROM PUBLIC;
