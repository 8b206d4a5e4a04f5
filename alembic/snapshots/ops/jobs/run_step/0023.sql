-- Runs one step of a job in a block of its own and returns its report; of a step that fails, the error instead.
-- Called by: ml.run_job. Calls: ml.roll_up, ml.recompute_metrics, ml.create_prediction_partitions, ml.label_outcomes,
--            ml.run_drift, ml.run_performance, ml.evaluate_alerts, ml.apply_retention.
-- Reads: nothing. Writes: what the step writes.

CREATE OR REPLACE FUNCTION ml.run_step(p_step text, p_at timestamptz)
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_result jsonb;
BEGIN
    CASE p_step
        WHEN 'roll_up' THEN
            v_result := ml.roll_up(p_at);
        WHEN 'catch_up' THEN
            -- A night has the time for what a tick leaves.
            v_result := ml.roll_up(p_at, 2000000);
        WHEN 'recount' THEN
            v_result := jsonb_build_object('replaced_minutes', ml.recompute_metrics(p_at - interval '2 days', p_at));
        WHEN 'partitions' THEN
            v_result := jsonb_build_object('created', ml.create_prediction_partitions(p_at));
        WHEN 'labels' THEN
            -- Events of the last year: others that still have no outcome lack the bars, and would be looked at every night.
            v_result := ml.label_outcomes(p_since => p_at - interval '1 year', p_limit => 20000, p_at => p_at);
        WHEN 'drift' THEN
            -- A day where it has enough predictions to judge, else a week or a month.
            v_result := ml.run_drift(p_at, NULL);
        WHEN 'performance' THEN
            v_result := ml.run_performance(p_at);
        WHEN 'alerts' THEN
            v_result := ml.evaluate_alerts(p_at);
        WHEN 'retention' THEN
            v_result := ml.apply_retention(p_at);
    END CASE;
    RETURN jsonb_build_object(
        'status', 'done', 'ms', round(extract(epoch FROM clock_timestamp() - v_started) * 1000)
    ) || coalesce(v_result, '{}'::jsonb);
EXCEPTION WHEN OTHERS THEN
    RETURN jsonb_build_object('status', 'failed', 'error', SQLERRM, 'sqlstate', SQLSTATE);
END
$function$;
COMMENT ON FUNCTION ml.run_step IS
    'Runs one step of a job in a block of its own and returns its report; of a step that fails, the error instead.';
REVOKE ALL ON FUNCTION ml.run_step FROM PUBLIC;
