-- Why an event got its score: the exact contribution of every feature to the last score logged for it.
-- Called by: people and applications. Calls: ml.explain_features. Reads: ml_predictions, pattern_events, ml_models.
-- Writes: nothing.

-- What is explained, and by which method, is said at ml.compute_contributions. The features are those of the log, so the
-- answer holds whatever happens to the event or its bars later.
CREATE OR REPLACE FUNCTION ml.explain(p_event_id uuid)
RETURNS TABLE (
    feature text,
    value double precision,
    contribution double precision,
    rank integer,
    method text,
    base_value double precision
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_version text;
    v_features double precision[];
BEGIN
    SELECT prediction.model_version, prediction.features INTO v_version, v_features
    FROM public.ml_predictions AS prediction
    WHERE prediction.event_id = p_event_id AND prediction.features IS NOT NULL
    ORDER BY prediction.predicted_at DESC
    LIMIT 1;
    IF NOT FOUND THEN
        SELECT event.model_version, (
            SELECT pg_catalog.array_agg((event.ml_features ->> name.name)::double precision ORDER BY name.place)
            FROM public.ml_models AS model
            CROSS JOIN LATERAL pg_catalog.unnest(model.feature_names) WITH ORDINALITY AS name (name, place)
            WHERE model.version = event.model_version
        )
        INTO v_version, v_features
        FROM public.pattern_events AS event WHERE event.id = p_event_id;
    END IF;
    IF v_features IS NULL THEN
        RAISE EXCEPTION 'event % has no score of a model to explain', p_event_id USING ERRCODE = 'no_data_found';
    END IF;
    RETURN QUERY SELECT * FROM ml.explain_features(v_version, v_features);
END
$function$;
COMMENT ON FUNCTION ml.explain IS
    'Why an event got its score: the exact contribution of every feature to the last score logged for it.';
REVOKE ALL ON FUNCTION ml.explain FROM PUBLIC;
