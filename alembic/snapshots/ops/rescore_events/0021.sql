-- Scores the named events with the champion and their stored features, keeping on the event what was shown before.
-- Called by: ml.score_events. Calls: ml.use_model, ml.score_features, ml.finish_score.
-- Reads: ml.scoring_context. Writes: pattern_events (and so ml_predictions) when p_write.

-- An event that the champion cannot score gets its rule's confidence, as at an INSERT, and is left to ml.backfill.
CREATE OR REPLACE FUNCTION ml.rescore_events(p_ids uuid[], p_reason text, p_write boolean)
RETURNS TABLE (reason text, events bigint)
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH scored AS MATERIALIZED (
        SELECT
            event.id,
            (series.context).model_version,
            (series.context).calibrator_version,
            (series.context).ml_weight,
            (series.context).rule_weight,
            event.ml_metadata -> 'scoring' AS shown,
            CASE WHEN pg_catalog.jsonb_typeof(event.ml_features) = 'object' THEN ml.finish_score(
                series.context,
                ml.score_features(
                    (series.context).model_version, pg_catalog.jsonb_populate_record(NULL::ml.feature_vector, event.ml_features)),
                event.rule_confidence
            ) END AS score
        FROM public.pattern_events AS event
        CROSS JOIN ml.scoring_context AS live
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN live.has_calibrator_parts THEN ml.use_model(live, 'champion', event.symbol, event.timeframe)
                ELSE live
            END AS context
        ) AS series
        WHERE event.id = ANY (p_ids)
    ),
    reasoned AS MATERIALIZED (
        SELECT
            scored.*,
            CASE
                WHEN scored.score IS NULL THEN 'features_missing'
                ELSE (scored.score).fallback_reason
            END AS fallback_reason
        FROM scored
    ),
    updated AS (
        UPDATE public.pattern_events AS event
        SET
            ml_confidence_raw = (reasoned.score).ml_confidence_raw,
            ml_confidence = (reasoned.score).ml_confidence,
            blended_confidence = CASE
                WHEN NOT coalesce(event.rule_confidence BETWEEN 0 AND 1, false) THEN NULL
                WHEN (reasoned.score).ml_confidence IS NULL THEN event.rule_confidence
                ELSE (reasoned.score).blended_confidence
            END,
            prediction_class = (reasoned.score).prediction_class,
            model_version = CASE WHEN (reasoned.score).ml_confidence IS NOT NULL THEN reasoned.model_version END,
            ml_metadata = event.ml_metadata || pg_catalog.jsonb_build_object('scoring', reasoned.shown
                || pg_catalog.jsonb_build_object(
                    'prediction_id', pg_catalog.gen_random_uuid(),
                    'event_id', event.id,
                    'scored_at', pg_catalog.clock_timestamp(),
                    'source', 'backfill',
                    'role', 'champion',
                    'arm', 'ml',
                    'attempted_version', reasoned.model_version,
                    'calibrator_version',
                    CASE WHEN (reasoned.score).ml_confidence IS NOT NULL THEN reasoned.calibrator_version END,
                    'ml_weight', reasoned.ml_weight,
                    'rule_weight', reasoned.rule_weight,
                    'cache_hit', false,
                    'cold', false,
                    'shadow', NULL,
                    'failed_version', NULL,
                    'fallback_reason', reasoned.fallback_reason,
                    'error_sqlstate', NULL,
                    'latency_us', NULL,
                    -- A second rescoring nests the first: the innermost is what was shown originally.
                    'replaces', pg_catalog.jsonb_build_object(
                        'prediction_id', reasoned.shown -> 'prediction_id',
                        'scored_at', reasoned.shown -> 'scored_at',
                        'model_version', event.model_version,
                        'calibrator_version', reasoned.shown -> 'calibrator_version',
                        'ml_confidence_raw', event.ml_confidence_raw,
                        'ml_confidence', event.ml_confidence,
                        'blended_confidence', event.blended_confidence,
                        'prediction_class', event.prediction_class,
                        'reason', p_reason
                    ) || CASE WHEN reasoned.shown ? 'replaces'
                        THEN pg_catalog.jsonb_build_object('replaces', reasoned.shown -> 'replaces') ELSE '{}' END
                ))
        FROM reasoned
        WHERE p_write AND event.id = reasoned.id
        RETURNING event.id
    )
    SELECT
        CASE WHEN (reasoned.score).ml_confidence IS NOT NULL THEN 'scored' ELSE reasoned.fallback_reason END,
        pg_catalog.count(*)
    FROM reasoned
    GROUP BY 1
$function$;
COMMENT ON FUNCTION ml.rescore_events IS
    'Scores the named events with the champion and their stored features, keeping on the event what was shown before.';
REVOKE ALL ON FUNCTION ml.rescore_events FROM PUBLIC;
