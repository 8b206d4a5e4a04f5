-- Scores the named events in one set-based statement, with the features and the arithmetic of the row trigger.
-- Called by: ml.score_events.
-- Calls: ml.compute_event_features, ml.feature_array, ml.use_model, ml.finish_score, ml.derived_columns,
--        ml_generated.score_<version>_columns, or ml_generated.features_<version> and ml_generated.score_<version>.
-- Reads: pattern_events, ml.scoring_context, ml_models, pg_catalog.
-- Writes: pattern_events (and so ml_predictions) when p_write; ml.trusted_transactions.

CREATE OR REPLACE FUNCTION ml.score_batch(p_ids uuid[], p_write boolean)
RETURNS TABLE (reason text, events bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Fewer digits would reach ml_features, from which the log and every replay read the values.
SET extra_float_digits = 1
-- Compiling an expression this size for a batch costs more than running it.
SET jit = off
AS $function$
DECLARE
    v_context ml.scoring_context;
    v_version text;
    v_score text;
    v_columns text := 'NULL';
BEGIN
    SELECT * INTO v_context FROM ml.scoring_context;
    v_version := v_context.model_version;
    v_score := pg_catalog.format('ml_generated.%I(ml_generated.%I(picked.features))', 'score_' || v_version, 'features_' || v_version);
    -- A model compiled for sets is pulled into the statement: no call per row, and for trees a tenth of the time.
    IF pg_catalog.to_regproc(pg_catalog.format('ml_generated.%I', 'score_' || v_version || '_columns')) IS NOT NULL THEN
        SELECT
            pg_catalog.format('ml_generated.%I(%s)', 'score_' || v_version || '_columns',
                pg_catalog.string_agg(pg_catalog.format('picked.feature_%s', name.place), ', ' ORDER BY name.place)),
            pg_catalog.string_agg(
                pg_catalog.format('(featured.features).%I AS feature_%s', name.name, name.place), ', ' ORDER BY name.place)
        INTO v_score, v_columns
        FROM public.ml_models AS model
        CROSS JOIN LATERAL pg_catalog.unnest(model.feature_names) WITH ORDINALITY AS name (name, place)
        WHERE model.version = v_version;
    END IF;
    -- Lets the row trigger take the scores of this statement as they are.
    INSERT INTO ml.trusted_transactions (transaction_id) VALUES (pg_catalog.pg_current_xact_id());
    RETURN QUERY EXECUTE pg_catalog.format($query$
        WITH candidate AS MATERIALIZED (
            SELECT
                event.id,
                event.symbol,
                event.timeframe,
                event.rule_confidence,
                event.ml_metadata,
                ROW(
                    event.symbol, event.timeframe, event.pattern_type,
                    CASE WHEN NOT earlier.derived ? 'direction' THEN event.direction END,
                    event.detected_at, event.start_at,
                    CASE WHEN NOT earlier.derived ? 'entry_price' THEN event.entry_price END,
                    CASE WHEN NOT earlier.derived ? 'target_price' THEN event.target_price END,
                    CASE WHEN NOT earlier.derived ? 'stop_price' THEN event.stop_price END,
                    CASE WHEN NOT earlier.derived ? 'support' THEN event.support END,
                    CASE WHEN NOT earlier.derived ? 'resistance' THEN event.resistance END
                )::ml.event_inputs AS given
            FROM public.pattern_events AS event
            CROSS JOIN LATERAL (
                SELECT coalesce(event.ml_metadata #> '{scoring,derived}', '[]') AS derived
            ) AS earlier
            WHERE event.id = ANY ($1) AND event.model_version IS NULL
        ),
        featured AS MATERIALIZED (
            SELECT
                candidate.*, computed.inputs, computed.features, computed.bar_ts, computed.reason,
                ml.derived_columns(candidate.given, computed.inputs, ($2).filled_columns) AS derived
            FROM candidate
            CROSS JOIN LATERAL ml.compute_event_features(candidate.given) AS computed
        ),
        scored AS MATERIALIZED (
            SELECT
                picked.id, picked.inputs, picked.features, picked.bar_ts, picked.reason, picked.derived,
                (picked.context).calibrator_version,
                CASE WHEN picked.reason IS NULL THEN ml.finish_score(picked.context, %1$s, picked.rule_confidence) END AS score
            -- OFFSET 0: the columns are read from the row once, not once for each of their uses.
            FROM (
                SELECT
                    featured.*, %2$s,
                    CASE
                        WHEN ($2).has_calibrator_parts
                            THEN ml.use_model($2, 'champion', featured.symbol, featured.timeframe)
                        ELSE $2
                    END AS context
                FROM featured OFFSET 0
            ) AS picked
        ),
        updated AS (
            UPDATE public.pattern_events AS event
            SET
                direction = CASE WHEN scored.derived ? 'direction' THEN (scored.inputs).direction ELSE event.direction END,
                entry_price = CASE WHEN scored.derived ? 'entry_price' THEN (scored.inputs).entry_price ELSE event.entry_price END,
                target_price = CASE WHEN scored.derived ? 'target_price' THEN (scored.inputs).target_price ELSE event.target_price END,
                stop_price = CASE WHEN scored.derived ? 'stop_price' THEN (scored.inputs).stop_price ELSE event.stop_price END,
                support = CASE WHEN scored.derived ? 'support' THEN (scored.inputs).support ELSE event.support END,
                resistance = CASE WHEN scored.derived ? 'resistance' THEN (scored.inputs).resistance ELSE event.resistance END,
                ml_features = pg_catalog.to_jsonb(scored.features),
                ml_confidence_raw = (scored.score).ml_confidence_raw,
                ml_confidence = (scored.score).ml_confidence,
                blended_confidence = (scored.score).blended_confidence,
                prediction_class = (scored.score).prediction_class,
                model_version = %3$L,
                ml_metadata = CASE
                    WHEN event.ml_metadata IS NULL THEN '{}'
                    WHEN pg_catalog.jsonb_typeof(event.ml_metadata) = 'object' THEN event.ml_metadata
                    ELSE pg_catalog.jsonb_build_object('value', event.ml_metadata)
                END || pg_catalog.jsonb_build_object('scoring', pg_catalog.jsonb_build_object(
                    'prediction_id', pg_catalog.gen_random_uuid(),
                    'event_id', event.id,
                    'scored_at', pg_catalog.clock_timestamp(),
                    'source', 'backfill',
                    'role', 'champion',
                    'arm', 'ml',
                    'attempted_version', %3$L,
                    'calibrator_version', scored.calibrator_version,
                    'bar_ts', scored.bar_ts AT TIME ZONE 'UTC',
                    'derived', scored.derived,
                    'ml_weight', ($2).ml_weight,
                    'rule_weight', ($2).rule_weight,
                    'feature_hash', pg_catalog.encode(
                        pg_catalog.sha256(pg_catalog.array_send(ml.feature_array(scored.features))), 'hex'),
                    'cache_hit', false,
                    'fallback_reason', (scored.score).fallback_reason,
                    'error_sqlstate', NULL,
                    'latency_us', NULL
                ))
            FROM scored
            WHERE $3 AND event.id = scored.id AND (scored.score).ml_confidence IS NOT NULL
            RETURNING event.id
        )
        SELECT
            CASE
                WHEN (scored.score).ml_confidence IS NOT NULL THEN 'scored'
                ELSE coalesce(scored.reason, (scored.score).fallback_reason)
            END,
            pg_catalog.count(*)
        FROM scored
        GROUP BY 1
    $query$, v_score, v_columns, v_context.model_version)
    USING p_ids, v_context, p_write;
    DELETE FROM ml.trusted_transactions AS t WHERE t.transaction_id = pg_catalog.pg_current_xact_id();
END
$function$;
COMMENT ON FUNCTION ml.score_batch IS
    'Scores the named events in one set-based statement, with the features and the arithmetic of the row trigger.';
REVOKE ALL ON FUNCTION ml.score_batch FROM PUBLIC;
