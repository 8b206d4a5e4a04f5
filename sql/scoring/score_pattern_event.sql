-- Row trigger of pattern_events: fills in the event's inputs, features and score, and writes nothing.
-- Called by: trigger pattern_events_10_score.
-- Calls: ml.compute_event_features, ml.feature_array, ml.rollout_bucket, ml.use_model, ml.score_features,
--        ml.finish_score, ml.blend_confidence, ml.derived_columns, ml.brings_own_score.
-- Reads: ml.scoring_context, ml.scoring_models and, through the features, ml.bar_indicators. Writes: nothing.

-- STABLE, so that a promote that commits during a multi-row INSERT cannot split the batch between two models.
CREATE OR REPLACE FUNCTION ml.score_pattern_event()
RETURNS trigger
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Fewer digits would reach ml_features, from which the log and every replay read the values.
SET extra_float_digits = 1
-- The user's statement never waits for a lock of ours longer than this.
SET lock_timeout = '100ms'
AS $function$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_rule_valid boolean := coalesce(NEW.rule_confidence BETWEEN 0 AND 1, false);
    v_is_update boolean := TG_OP = 'UPDATE';
    v_stored jsonb;
    v_has_score boolean := false;
    v_is_ours boolean := false;
    v_keeps_score boolean := false;
    v_derived jsonb := '[]'::jsonb;
    v_given ml.event_inputs;
    v_event ml.event_feature_result;
    v_context ml.scoring_context;
    v_score ml.event_score;
    v_features jsonb;
    v_feature_hash text;
    v_cache_hit boolean := false;
    v_attempted boolean := false;
    v_is_probe boolean := false;
    v_is_cold boolean := false;
    v_is_bad boolean;
    v_bad_calls integer := 0;
    v_role text;
    v_tried_version text;
    v_shadow jsonb;
    v_reason text;
    v_sqlstate text;
    v_latency_us integer;
    v_record jsonb;
BEGIN
    IF v_is_update THEN
        v_stored := OLD.ml_metadata -> 'scoring';
        v_has_score := OLD.ml_confidence IS NOT NULL OR OLD.model_version IS NOT NULL;
        -- An adopted row may hold the score of an earlier system, which no record of ours stands for.
        v_is_ours := v_stored ? 'event_id'
            AND (NOT v_has_score OR coalesce(v_stored ->> 'attempted_version' = OLD.model_version, false));
        v_is_ours := coalesce(v_is_ours, false);
        -- Nothing that features depend on has changed: the score that was acted on stays, whichever model is live by
        -- now and whether ML is enabled or not; a changed rule confidence is blended with it.
        v_keeps_score := v_has_score
            AND ROW(NEW.id, NEW.symbol, NEW.timeframe, NEW.pattern_type, NEW.direction, NEW.detected_at,
                NEW.start_at, NEW.entry_price, NEW.target_price, NEW.stop_price, NEW.support, NEW.resistance)
            IS NOT DISTINCT FROM
            ROW(OLD.id, OLD.symbol, OLD.timeframe, OLD.pattern_type, OLD.direction, OLD.detected_at,
                OLD.start_at, OLD.entry_price, OLD.target_price, OLD.stop_price, OLD.support, OLD.resistance);
        IF v_keeps_score AND NOT v_is_ours THEN
            RETURN NEW;
        END IF;
    END IF;

    -- The user's statement must not fail because of anything in this block. It only reads: a subtransaction that
    -- writes nothing takes no transaction id, and WHEN OTHERS leaves statement_timeout to the user.
    BEGIN
        IF NEW.ml_metadata #>> '{scoring,event_id}' = NEW.id::text
            AND NEW.ml_metadata #>> '{scoring,prediction_id}' IS DISTINCT FROM v_stored ->> 'prediction_id'
            AND ml.brings_own_score(v_is_update)
        THEN
            RETURN NEW;
        END IF;

        -- One row of a statement has waited for a lock of ours; the others do not wait as well.
        IF current_setting('ml.lock_wait_in', true) = statement_timestamp()::text THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available';
        END IF;

        IF v_keeps_score THEN
            v_cache_hit := true;
            v_attempted := true;
            NEW.ml_features := OLD.ml_features;
            NEW.ml_confidence_raw := OLD.ml_confidence_raw;
            NEW.ml_confidence := OLD.ml_confidence;
            NEW.prediction_class := OLD.prediction_class;
            NEW.model_version := OLD.model_version;
            NEW.blended_confidence := OLD.blended_confidence;
            IF NEW.rule_confidence IS DISTINCT FROM OLD.rule_confidence THEN
                SELECT * INTO v_context FROM ml.scoring_context;
                IF v_context.ml_weight IS NOT NULL THEN
                    NEW.blended_confidence := CASE WHEN v_rule_valid THEN ml.blend_confidence(
                        NEW.ml_confidence, NEW.rule_confidence, v_context.ml_weight, v_context.rule_weight) END;
                END IF;
            END IF;
        ELSE
            SELECT * INTO v_context FROM ml.scoring_context;
            IF v_has_score AND NOT v_is_ours AND NOT coalesce(v_context.enabled, false) THEN
                RETURN NEW;
            END IF;

            -- What an earlier scoring derived is derived again, unless this UPDATE has set it.
            IF v_is_update THEN
                v_derived := coalesce(v_stored -> 'derived', '[]');
            END IF;
            v_given := ROW(
                NEW.symbol, NEW.timeframe, NEW.pattern_type, NEW.direction, NEW.detected_at, NEW.start_at,
                NEW.entry_price, NEW.target_price, NEW.stop_price, NEW.support, NEW.resistance
            )::ml.event_inputs;
            IF v_derived <> '[]' THEN
                IF v_derived ? 'direction' AND NEW.direction IS NOT DISTINCT FROM OLD.direction THEN
                    v_given.direction := NULL;
                END IF;
                IF v_derived ? 'entry_price' AND NEW.entry_price IS NOT DISTINCT FROM OLD.entry_price THEN
                    v_given.entry_price := NULL;
                END IF;
                IF v_derived ? 'target_price' AND NEW.target_price IS NOT DISTINCT FROM OLD.target_price THEN
                    v_given.target_price := NULL;
                END IF;
                IF v_derived ? 'stop_price' AND NEW.stop_price IS NOT DISTINCT FROM OLD.stop_price THEN
                    v_given.stop_price := NULL;
                END IF;
                IF v_derived ? 'support' AND NEW.support IS NOT DISTINCT FROM OLD.support THEN
                    v_given.support := NULL;
                END IF;
                IF v_derived ? 'resistance' AND NEW.resistance IS NOT DISTINCT FROM OLD.resistance THEN
                    v_given.resistance := NULL;
                END IF;
            END IF;

            IF v_context.enabled IS NULL THEN
                v_attempted := true;
                v_reason := 'settings_missing';
            ELSIF NOT v_context.enabled THEN
                v_reason := 'disabled';
            ELSIF v_context.rollout_percent < 100
                AND ml.rollout_bucket(v_context.rollout_salt, NEW.id) >= v_context.rollout_percent / 100
            THEN
                v_reason := 'not_in_rollout';
            ELSE
                v_attempted := true;
                IF v_context.breaker_opened_at IS NOT NULL AND v_context.breaker_enabled THEN
                    -- After the cooldown one event per statement finds out whether ML works again.
                    v_is_probe := v_started >= v_context.breaker_opened_at + v_context.breaker_cooldown
                        AND current_setting('ml.probe_in', true) IS DISTINCT FROM statement_timestamp()::text;
                    IF v_is_probe THEN
                        PERFORM set_config('ml.probe_in', statement_timestamp()::text, true);
                    ELSE
                        v_reason := 'breaker_open';
                    END IF;
                ELSIF v_context.breaker_enabled THEN
                    -- The breaker opens after a statement; a statement of many rows is not to suffer until its end.
                    v_bad_calls := CASE
                        WHEN split_part(current_setting('ml.bad_calls_in', true), '/', 1) = statement_timestamp()::text
                            THEN split_part(current_setting('ml.bad_calls_in', true), '/', 2)::integer
                        ELSE 0
                    END;
                    IF v_bad_calls >= v_context.breaker_minimum_calls THEN
                        v_reason := 'breaker_open';
                    END IF;
                END IF;
            END IF;

            -- Features may be what is slow: an open breaker leaves them out as well, for backfill to fill in.
            IF v_reason IS DISTINCT FROM 'breaker_open' THEN
                v_event := ml.compute_event_features(v_given);
                v_derived := ml.derived_columns(v_given, v_event.inputs, v_context.filled_columns);
            END IF;

            IF v_attempted AND v_reason IS NULL THEN
                IF v_event.reason IS NOT NULL THEN
                    v_reason := v_event.reason;
                ELSIF v_context.model_version IS NULL THEN
                    v_reason := 'model_missing';
                ELSE
                    v_features := to_jsonb(v_event.features);
                    v_feature_hash := encode(sha256(array_send(ml.feature_array(v_event.features))), 'hex');
                    IF v_context.challenger_version IS NOT NULL AND v_context.canary_percent > 0 AND NOT v_is_probe
                        AND ml.rollout_bucket(
                            v_context.rollout_salt || ' canary ' || v_context.challenger_version, NEW.id
                        ) < v_context.canary_percent / 100
                    THEN
                        v_context := ml.use_model(v_context, 'challenger', NEW.symbol, NEW.timeframe);
                    ELSIF v_context.has_calibrator_parts THEN
                        v_context := ml.use_model(v_context, 'champion', NEW.symbol, NEW.timeframe);
                    END IF;
                    v_role := v_context.alias;
                    v_tried_version := v_context.model_version;
                    v_cache_hit := v_is_update
                        AND coalesce(v_stored ->> 'feature_hash' = v_feature_hash, false)
                        AND coalesce(OLD.model_version = v_context.model_version, false)
                        AND OLD.ml_confidence IS NOT NULL
                        AND v_stored ->> 'calibrator_version' IS NOT DISTINCT FROM v_context.calibrator_version;
                    IF v_cache_hit THEN
                        v_score := ROW(
                            OLD.ml_confidence_raw, OLD.ml_confidence,
                            CASE WHEN v_rule_valid THEN ml.blend_confidence(
                                OLD.ml_confidence, NEW.rule_confidence, v_context.ml_weight, v_context.rule_weight) END,
                            OLD.prediction_class, NULL
                        )::ml.event_score;
                    ELSE
                        v_is_cold := strpos(
                            coalesce(current_setting('ml.warm_versions', true), ''), '/' || v_tried_version || '/') = 0;
                        -- A version that fails gives way to the one that it replaced: challenger, champion, previous.
                        LOOP
                            BEGIN
                                v_score := ml.finish_score(
                                    v_context, ml.score_features(v_context.model_version, v_event.features),
                                    NEW.rule_confidence
                                );
                            EXCEPTION
                                -- Not waited for a second time.
                                WHEN lock_not_available THEN
                                    RAISE;
                                WHEN OTHERS THEN
                                    v_score := NULL;
                                    v_reason := coalesce(v_reason, 'error');
                                    v_sqlstate := coalesce(v_sqlstate, SQLSTATE);
                            END;
                            EXIT WHEN v_score.ml_confidence IS NOT NULL;
                            v_reason := coalesce(v_reason, v_score.fallback_reason);
                            EXIT WHEN v_context.alias = 'previous';
                            v_context := ml.use_model(
                                v_context, CASE v_context.alias WHEN 'challenger' THEN 'champion' ELSE 'previous' END,
                                NEW.symbol, NEW.timeframe);
                            EXIT WHEN v_context.model_version IS NULL;
                        END LOOP;
                        IF v_is_cold THEN
                            PERFORM set_config(
                                'ml.warm_versions',
                                coalesce(current_setting('ml.warm_versions', true), '') || '/' || v_tried_version || '/',
                                false);
                        END IF;
                        IF v_reason IS NOT NULL AND v_score.ml_confidence IS NOT NULL THEN
                            v_reason := v_role || '_failed';
                        END IF;
                        IF v_score.ml_confidence IS NOT NULL AND v_context.challenger_version IS NOT NULL
                            AND ml.rollout_bucket(v_context.rollout_salt || ' shadow', NEW.id)
                                < v_context.shadow_percent / 100
                        THEN
                            SELECT jsonb_build_object(
                                'version', other.version, 'calibrator_version', other.calibrator_version)
                            INTO v_shadow
                            FROM ml.scoring_models AS other
                            WHERE other.alias = CASE v_role WHEN 'champion' THEN 'challenger' ELSE 'champion' END
                                AND other.version <> v_context.model_version;
                        END IF;
                    END IF;
                    v_reason := coalesce(v_score.fallback_reason, v_reason);
                END IF;
            END IF;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE = '55P03' THEN
            PERFORM set_config('ml.lock_wait_in', statement_timestamp()::text, true);
        END IF;
        IF v_has_score AND NOT v_is_ours THEN
            RETURN NEW;
        END IF;
        v_score := NULL;
        v_features := NULL;
        v_feature_hash := NULL;
        v_cache_hit := false;
        v_attempted := true;
        v_shadow := NULL;
        v_reason := 'error';
        v_sqlstate := SQLSTATE;
    END;

    -- From here on only built-in functions: nothing that could have been dropped, revoked or replaced.
    IF v_keeps_score THEN
        v_record := v_stored;
    ELSE
        IF v_derived ? 'direction' THEN
            NEW.direction := (v_event.inputs).direction;
        END IF;
        IF v_derived ? 'entry_price' THEN
            NEW.entry_price := (v_event.inputs).entry_price;
        END IF;
        IF v_derived ? 'target_price' THEN
            NEW.target_price := (v_event.inputs).target_price;
        END IF;
        IF v_derived ? 'stop_price' THEN
            NEW.stop_price := (v_event.inputs).stop_price;
        END IF;
        IF v_derived ? 'support' THEN
            NEW.support := (v_event.inputs).support;
        END IF;
        IF v_derived ? 'resistance' THEN
            NEW.resistance := (v_event.inputs).resistance;
        END IF;

        NEW.ml_features := v_features;
        NEW.ml_confidence_raw := v_score.ml_confidence_raw;
        NEW.ml_confidence := v_score.ml_confidence;
        NEW.prediction_class := v_score.prediction_class;
        NEW.model_version := CASE WHEN v_score.ml_confidence IS NOT NULL THEN v_context.model_version END;
        NEW.blended_confidence := CASE
            WHEN NOT v_rule_valid THEN NULL
            WHEN v_score.ml_confidence IS NULL THEN NEW.rule_confidence
            ELSE v_score.blended_confidence
        END;
        v_record := jsonb_build_object(
            'event_id', NEW.id,
            'role', CASE WHEN v_attempted THEN coalesce(v_role, 'champion') ELSE 'rule' END,
            'arm', CASE WHEN v_is_probe THEN 'probe' WHEN v_attempted THEN 'ml' ELSE 'rule' END,
            'attempted_version', CASE
                WHEN v_score.ml_confidence IS NOT NULL THEN v_context.model_version
                WHEN v_attempted THEN coalesce(v_tried_version, v_context.model_version)
            END,
            'failed_version', CASE WHEN v_score.ml_confidence IS NOT NULL AND v_tried_version <> v_context.model_version
                THEN v_tried_version END,
            'calibrator_version', CASE WHEN v_score.ml_confidence IS NOT NULL THEN v_context.calibrator_version END,
            'bar_ts', v_event.bar_ts AT TIME ZONE 'UTC',
            'derived', v_derived,
            'feature_hash', v_feature_hash
        );
    END IF;
    v_latency_us := least(extract(epoch FROM clock_timestamp() - v_started) * 1000000, 2147483647)::integer;
    v_is_bad := v_sqlstate IS NOT NULL OR coalesce(v_reason = 'score_invalid', false)
        OR coalesce(v_attempted AND NOT v_is_cold AND v_latency_us > v_context.breaker_latency_ms * 1000, false);
    IF v_is_bad OR v_is_probe THEN
        -- Tells the log trigger of this statement to look whether the circuit breaker has to open or close.
        PERFORM set_config('ml.check_breaker_in', statement_timestamp()::text, true);
    END IF;
    -- Bad calls in a row within this statement.
    IF v_is_bad THEN
        PERFORM set_config('ml.bad_calls_in', statement_timestamp()::text || '/' || v_bad_calls + 1, true);
    ELSIF v_bad_calls > 0 AND v_reason IS DISTINCT FROM 'breaker_open' THEN
        PERFORM set_config('ml.bad_calls_in', '', true);
    END IF;
    IF v_shadow IS NOT NULL THEN
        PERFORM set_config('ml.shadow_in', statement_timestamp()::text, true);
    END IF;
    v_record := v_record || jsonb_build_object(
        'prediction_id', gen_random_uuid(),
        'scored_at', v_started,
        'source', CASE WHEN v_is_update THEN 'update' ELSE 'insert' END,
        'cache_hit', v_cache_hit,
        'ml_weight', coalesce(to_jsonb(v_context.ml_weight), v_stored -> 'ml_weight'),
        'rule_weight', coalesce(to_jsonb(v_context.rule_weight), v_stored -> 'rule_weight'),
        'fallback_reason', CASE WHEN v_rule_valid THEN v_reason ELSE 'rule_confidence_invalid' END,
        'error_sqlstate', v_sqlstate,
        'shadow', v_shadow,
        'cold', v_is_cold,
        'latency_us', v_latency_us
    );
    NEW.ml_metadata := CASE
        WHEN NEW.ml_metadata IS NULL THEN '{}'::jsonb
        WHEN jsonb_typeof(NEW.ml_metadata) = 'object' THEN NEW.ml_metadata
        -- A user's scalar or array cannot hold a key; it is kept beside the record.
        ELSE jsonb_build_object('value', NEW.ml_metadata)
    END || jsonb_build_object('scoring', v_record);
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION ml.score_pattern_event IS
    'Row trigger of pattern_events: fills in the event''s inputs, features and score, and writes nothing.';
REVOKE ALL ON FUNCTION ml.score_pattern_event FROM PUBLIC;
