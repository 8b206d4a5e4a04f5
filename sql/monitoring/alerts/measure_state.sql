-- What is measured of a state or of the newest nightly run, for a rule; no row when there is nothing to measure.
-- Called by: ml.alert_values. Calls: ml_health, ml.feature_drift_score.
-- Reads: ml_settings, ml_aliases, ml.breaker_switch, pattern_events, ml_predictions, ml_log_drops, ml_jobs, ml_drift,
-- ml_performance, pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.measure_state(p_metric text, p_at timestamptz, p_window interval)
RETURNS TABLE (key text, value double precision, bound double precision, observations bigint, detail text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
-- The bounds of partitions are read as text.
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET jit = off
AS $function$
DECLARE
    v_run timestamptz;
    v_first tid;
    v_health jsonb;
BEGIN
    key := '';
    observations := 1;
    CASE p_metric
    WHEN 'health_critical' THEN
        -- A check that fails is as bad as what it would say. It learns to look at another time than now in a later
        -- revision than this one.
        BEGIN
            EXECUTE CASE
                WHEN to_regprocedure('public.ml_health(interval, timestamptz)') IS NULL THEN 'SELECT public.ml_health()'
                ELSE 'SELECT public.ml_health(p_at => $1)'
            END INTO v_health USING p_at;
        EXCEPTION WHEN OTHERS THEN
            v_health := jsonb_build_object('status', 'critical', 'problems', jsonb_build_array('ml_health() fails: ' || SQLERRM));
        END;
        value := (v_health ->> 'status' = 'critical')::integer;
        detail := (SELECT string_agg(problem.sentence, '; ') FROM jsonb_array_elements_text(v_health -> 'problems') AS problem (sentence));
    WHEN 'model_not_loaded' THEN
        SELECT
            (s.enabled AND functions.present < 2)::integer,
            CASE WHEN champion.version IS NULL THEN 'there is no champion' ELSE 'champion ' || champion.version END
        INTO value, detail
        FROM public.ml_settings AS s
        LEFT JOIN public.ml_aliases AS champion ON champion.alias = 'champion'
        CROSS JOIN LATERAL (
            SELECT count(*) AS present FROM pg_proc AS p
            WHERE p.pronamespace = 'ml_generated'::regnamespace
                AND p.proname IN ('score_' || champion.version, 'features_' || champion.version)
        ) AS functions;
    WHEN 'breaker_open' THEN
        SELECT
            (s.enabled AND s.breaker_enabled AND coalesce(switch.action = 'breaker_open' AND switch.version = champion.version, false))::integer,
            switch.reason
        INTO value, detail
        FROM public.ml_settings AS s
        LEFT JOIN ml.breaker_switch AS switch ON true
        LEFT JOIN public.ml_aliases AS champion ON champion.alias = 'champion';
    WHEN 'disabled_triggers' THEN
        SELECT count(*), string_agg(needed.name, ', ') INTO value, detail
        FROM unnest('{pattern_events_10_score,pattern_events_90_log_insert,pattern_events_90_log_update}'::text[]) AS needed (name)
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger AS t
            WHERE t.tgrelid = 'public.pattern_events'::regclass AND t.tgname = needed.name AND t.tgenabled IN ('O', 'A')
        );
    WHEN 'prediction_gap' THEN
        -- New events lie at the table's end, as a rule: the last 256 pages are some 500 events, and no index is needed.
        v_first := format('(%s,0)', greatest(
            pg_relation_size('public.pattern_events') / current_setting('block_size')::bigint - 256, 0))::tid;
        SELECT count(*) FILTER (WHERE NOT logged.found), count(*) INTO value, observations
        FROM (
            SELECT
                (e.ml_metadata #>> '{scoring,prediction_id}')::uuid AS prediction_id,
                (e.ml_metadata #>> '{scoring,scored_at}')::timestamptz AS scored_at
            FROM public.pattern_events AS e
            WHERE e.ctid >= v_first
                AND e.ml_metadata #>> '{scoring,event_id}' = e.id::text
        ) AS event
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM public.ml_predictions AS p
                WHERE p.id = event.prediction_id AND p.predicted_at = event.scored_at
            ) AS found
        ) AS logged
        WHERE event.scored_at > p_at - p_window AND event.scored_at <= p_at;
    WHEN 'log_drops' THEN
        -- Counting stops at 10,000: beyond that the exact number changes nothing.
        SELECT count(*), max(newest.error_message) INTO value, detail
        FROM (SELECT d.* FROM public.ml_log_drops AS d ORDER BY d.id DESC LIMIT 10000) AS newest
        WHERE newest.dropped_at > p_at - p_window AND newest.dropped_at <= p_at;
    WHEN 'partition_days' THEN
        -- Until the first time after p_at that no partition covers.
        WITH partitions AS (
            SELECT
                substring(pg_get_expr(c.relpartbound, c.oid) FROM $$FROM \('([^']+)'\)$$)::timestamptz AS lower,
                substring(pg_get_expr(c.relpartbound, c.oid) FROM $$TO \('([^']+)'\)$$)::timestamptz AS upper
            FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'public.ml_predictions'::regclass
        )
        SELECT CASE
            WHEN EXISTS (SELECT FROM partitions AS now WHERE now.lower <= p_at AND p_at < now.upper)
                THEN extract(epoch FROM min(p.upper) - p_at) / 86400
            ELSE 0
        END INTO value
        FROM partitions AS p
        WHERE p.upper > p_at
            AND NOT EXISTS (SELECT FROM partitions AS next WHERE next.lower <= p.upper AND p.upper < next.upper);
    WHEN 'minutes_since_tick', 'minutes_since_nightly' THEN
        -- Of a run for a time to come, the server's clock knows when it really was.
        SELECT greatest(extract(epoch FROM p_at - CASE
            WHEN j.last_run_at > p_at THEN least(j.finished_at, p_at) ELSE j.last_run_at END) / 60, 0) INTO value
        FROM public.ml_jobs AS j
        WHERE j.job = substring(p_metric FROM '[a-z]+$');
    WHEN 'failed_jobs' THEN
        SELECT count(j.last_error), string_agg(j.job || ': ' || j.last_error, '; ' ORDER BY j.job)
        INTO value, detail
        FROM public.ml_jobs AS j
        WHERE j.job IN ('tick', 'nightly', 'retention');
    WHEN 'feature_drift_score', 'prediction_drift_distance' THEN
        SELECT max(d.run_at) INTO v_run FROM public.ml_drift AS d
        WHERE d.run_at > p_at - p_window AND d.run_at <= p_at AND d.method = 'jensen_shannon';
        SELECT d.value, d.n_current, d.feature || ' of ' || d.model_version INTO value, observations, detail
        FROM public.ml_drift AS d
        WHERE d.run_at = v_run AND d.method = 'jensen_shannon' AND d.verdict <> 'insufficient_data'
            AND d.subject = CASE p_metric WHEN 'feature_drift_score' THEN 'feature' ELSE 'score' END
        ORDER BY d.value DESC NULLS LAST
        LIMIT 1;
        IF value IS NOT NULL AND p_metric = 'feature_drift_score' THEN
            value := ml.feature_drift_score(p_at);
        END IF;
    WHEN 'data_quality_issues' THEN
        SELECT max(d.run_at) INTO v_run FROM public.ml_drift AS d WHERE d.run_at > p_at - p_window AND d.run_at <= p_at;
        SELECT
            count(DISTINCT d.feature) FILTER (WHERE d.quality_verdict = 'issue'),
            count(*) FILTER (WHERE d.quality_verdict <> 'insufficient_data'),
            string_agg(DISTINCT d.feature, ', ') FILTER (WHERE d.quality_verdict = 'issue')
        INTO value, observations, detail
        FROM public.ml_drift AS d
        WHERE d.run_at = v_run;
    WHEN 'degraded_metrics' THEN
        SELECT max(p.run_at) INTO v_run FROM public.ml_performance AS p
        WHERE p.run_at > p_at - p_window AND p.run_at <= p_at;
        RETURN QUERY
        SELECT
            p.model_version,
            (count(*) FILTER (WHERE p.verdict = 'degraded'))::double precision,
            (count(*) FILTER (WHERE p.verdict = 'degraded'))::double precision,
            count(*) FILTER (WHERE p.verdict IN ('ok', 'degraded')),
            string_agg(p.kind || ' ' || p.metric, ', ' ORDER BY p.kind DESC, p.metric) FILTER (WHERE p.verdict = 'degraded')
        FROM public.ml_performance AS p
        WHERE p.run_at = v_run AND p.pattern_type = ''
        GROUP BY p.model_version;
        RETURN;
    WHEN 'calibration_error' THEN
        SELECT max(p.run_at) INTO v_run FROM public.ml_performance AS p
        WHERE p.run_at > p_at - p_window AND p.run_at <= p_at;
        RETURN QUERY
        SELECT p.model_version, p.value, p.low, p.labelled, NULL::text
        FROM public.ml_performance AS p
        WHERE p.run_at = v_run AND p.pattern_type = '' AND p.kind = 'realised' AND p.metric = 'ece'
            AND p.verdict <> 'insufficient_data';
        RETURN;
    END CASE;
    IF value IS NULL THEN
        RETURN;
    END IF;
    bound := value;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION ml.measure_state IS
    'What is measured of a state or of the newest nightly run, for a rule; no row when there is nothing to measure.';
REVOKE ALL ON FUNCTION ml.measure_state FROM PUBLIC;
