-- Row trigger of pattern_events: fills in the event's inputs, features and score, and writes nothing.
-- Called by: trigger pattern_events_10_score.
-- Calls: ml.compute_event_features, ml.feature_array, ml.rollout_bucket, ml.score_features, ml.finish_score,
--        ml.blend_confidence, ml.derived_columns, ml.with_scoring_record.
-- Reads: ml.scoring_context and, through the features, ml.bar_indicators. Writes: nothing.

-- STABLE, so that a promote that commits during a multi-row INSERT cannot split the batch between two models.
CREATE OR REPLACE FUNCTION ml.score_pattern_event()
RETURNS trigger
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Fewer digits would reach ml_features, from which the log and every replay read the values.
SET extra_float_digits = 1
AS $function$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_rule_valid boolean := coalesce(NEW.rule_confidence BETWEEN 0 AND 1, false);
    v_is_update boolean := TG_OP = 'UPDATE';
    v_stored jsonb;
    v_derived jsonb;
    v_given ml.event_inputs;
    v_event ml.event_feature_result;
    v_context ml.scoring_context;
    v_score ml.event_score;
    v_features jsonb;
    v_feature_hash text;
    v_cache_hit boolean := false;
    v_attempted boolean := false;
    v_reason text;
    v_sqlstate text;
BEGIN
    -- The user's statement must not fail because of anything in here. The block only reads: a subtransaction
    -- that writes nothing takes no transaction id, and WHEN OTHERS leaves statement_timeout to the user.
    BEGIN
        IF v_is_update THEN
            v_stored := OLD.ml_metadata -> 'scoring';
        END IF;

        -- A row that brings its own record is restored or backfilled; only the owner may write ml_metadata.
        IF NEW.ml_metadata #>> '{scoring,event_id}' = NEW.id::text
            AND NEW.ml_metadata #>> '{scoring,prediction_id}' IS DISTINCT FROM v_stored ->> 'prediction_id'
        THEN
            RETURN NEW;
        END IF;

        -- What an earlier scoring derived is derived again, unless this UPDATE has set it.
        v_derived := coalesce(v_stored -> 'derived', '[]');
        v_given.symbol := NEW.symbol;
        v_given.timeframe := NEW.timeframe;
        v_given.pattern_type := NEW.pattern_type;
        v_given.detected_at := NEW.detected_at;
        v_given.start_at := NEW.start_at;
        IF v_is_update AND v_derived <> '[]' THEN
            IF NOT (v_derived ? 'direction' AND NEW.direction IS NOT DISTINCT FROM OLD.direction) THEN
                v_given.direction := NEW.direction;
            END IF;
            IF NOT (v_derived ? 'entry_price' AND NEW.entry_price IS NOT DISTINCT FROM OLD.entry_price) THEN
                v_given.entry_price := NEW.entry_price;
            END IF;
            IF NOT (v_derived ? 'target_price' AND NEW.target_price IS NOT DISTINCT FROM OLD.target_price) THEN
                v_given.target_price := NEW.target_price;
            END IF;
            IF NOT (v_derived ? 'stop_price' AND NEW.stop_price IS NOT DISTINCT FROM OLD.stop_price) THEN
                v_given.stop_price := NEW.stop_price;
            END IF;
            IF NOT (v_derived ? 'support' AND NEW.support IS NOT DISTINCT FROM OLD.support) THEN
                v_given.support := NEW.support;
            END IF;
            IF NOT (v_derived ? 'resistance' AND NEW.resistance IS NOT DISTINCT FROM OLD.resistance) THEN
                v_given.resistance := NEW.resistance;
            END IF;
        ELSE
            v_given.direction := NEW.direction;
            v_given.entry_price := NEW.entry_price;
            v_given.target_price := NEW.target_price;
            v_given.stop_price := NEW.stop_price;
            v_given.support := NEW.support;
            v_given.resistance := NEW.resistance;
        END IF;

        SELECT * INTO v_context FROM ml.scoring_context;
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
        END IF;

        IF v_attempted AND v_is_update AND v_stored IS NOT NULL
            AND NEW.rule_confidence IS DISTINCT FROM OLD.rule_confidence
            AND OLD.model_version IS NOT NULL AND OLD.ml_confidence IS NOT NULL
            AND ROW(NEW.id, NEW.symbol, NEW.timeframe, NEW.pattern_type, NEW.direction, NEW.detected_at, NEW.start_at,
                NEW.entry_price, NEW.target_price, NEW.stop_price, NEW.support, NEW.resistance)
                IS NOT DISTINCT FROM
                ROW(OLD.id, OLD.symbol, OLD.timeframe, OLD.pattern_type, OLD.direction, OLD.detected_at, OLD.start_at,
                OLD.entry_price, OLD.target_price, OLD.stop_price, OLD.support, OLD.resistance)
        THEN
            -- Only the rule's confidence changed: the score that was acted on stays and is blended again.
            NEW.blended_confidence := CASE WHEN v_rule_valid THEN ml.blend_confidence(
                NEW.ml_confidence, NEW.rule_confidence, v_context.ml_weight, v_context.rule_weight) END;
            NEW.ml_metadata := ml.with_scoring_record(NEW.ml_metadata, v_stored || jsonb_build_object(
                'prediction_id', gen_random_uuid(),
                'scored_at', v_started,
                'source', 'update',
                'cache_hit', true,
                'fallback_reason', CASE WHEN NOT v_rule_valid THEN 'rule_confidence_invalid' END,
                'latency_us', (extract(epoch FROM clock_timestamp() - v_started) * 1000000)::integer
            ));
            RETURN NEW;
        END IF;

        v_event := ml.compute_event_features(v_given);
        v_derived := ml.derived_columns(v_given, v_event.inputs);

        IF v_attempted AND v_reason IS NULL THEN
            IF v_event.reason IS NOT NULL THEN
                v_reason := v_event.reason;
            ELSIF v_context.model_version IS NULL THEN
                v_reason := 'model_missing';
            ELSE
                v_features := to_jsonb(v_event.features);
                v_feature_hash := encode(sha256(array_send(ml.feature_array(v_event.features))), 'hex');
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
                        OLD.prediction_class, CASE WHEN NOT v_rule_valid THEN 'rule_confidence_invalid' END
                    )::ml.event_score;
                ELSE
                    v_score := ml.finish_score(
                        v_context, ml.score_features(v_context.model_version, v_event.features), NEW.rule_confidence
                    );
                END IF;
                v_reason := v_score.fallback_reason;
            END IF;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        v_score := NULL;
        v_features := NULL;
        v_feature_hash := NULL;
        v_cache_hit := false;
        v_attempted := true;
        v_reason := 'error';
        v_sqlstate := SQLSTATE;
    END;

    NEW.direction := coalesce((v_event.inputs).direction, NEW.direction);
    NEW.entry_price := coalesce((v_event.inputs).entry_price, NEW.entry_price);
    NEW.target_price := coalesce((v_event.inputs).target_price, NEW.target_price);
    NEW.stop_price := coalesce((v_event.inputs).stop_price, NEW.stop_price);
    NEW.support := coalesce((v_event.inputs).support, NEW.support);
    NEW.resistance := coalesce((v_event.inputs).resistance, NEW.resistance);

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
    NEW.ml_metadata := ml.with_scoring_record(NEW.ml_metadata, jsonb_build_object(
        'prediction_id', gen_random_uuid(),
        'event_id', NEW.id,
        'scored_at', v_started,
        'source', CASE WHEN v_is_update THEN 'update' ELSE 'insert' END,
        'role', CASE WHEN v_attempted THEN 'champion' ELSE 'rule' END,
        'arm', CASE WHEN v_attempted THEN 'ml' ELSE 'rule' END,
        'attempted_version', CASE WHEN v_attempted THEN v_context.model_version END,
        'calibrator_version', CASE WHEN NEW.model_version IS NOT NULL THEN v_context.calibrator_version END,
        'bar_ts', v_event.bar_ts,
        'derived', v_derived,
        'feature_hash', v_feature_hash,
        'cache_hit', v_cache_hit,
        'fallback_reason', CASE WHEN v_rule_valid THEN v_reason ELSE 'rule_confidence_invalid' END,
        'error_sqlstate', v_sqlstate,
        'latency_us', (extract(epoch FROM clock_timestamp() - v_started) * 1000000)::integer
    ));
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION ml.score_pattern_event IS
    'Row trigger of pattern_events: fills in the event''s inputs, features and score, and writes nothing.';
