-- Moves weeks of the log that are past their time to ml_archive, drops exported ones, deletes old minutes and hours.
-- Called by: ml.run_step, operators.
-- Calls: ml.lock_job, ml.roll_up, ml.detach_week, ml.drop_week, ml.create_prediction_partitions.
-- Reads: ml_settings, ml.archived_weeks, pg_catalog.
-- Writes: partitions of ml_predictions, ml_archives, ml_metrics_1m, ml_metrics_1h, ml_drift, ml_performance,
--         ml_alert_transitions, ml_notifications, ml_backfill_errors, ml_log_drops, ml_jobs.
--
-- The log goes by whole weeks: with 180 days a prediction is kept for 180 to 187. A week leaves when its hours are
-- rolled up, and is dropped when trainer export has archived it, or at once when ml_settings.archive_required is false;
-- ml_archives says what was dropped. At most eight weeks leave in one call, last of all, because that locks the log until
-- the transaction ends: run it as a statement of its own. What could not be done is in the report, and is tried again by
-- the next call. With a p_at far ahead even the week that is being written leaves, and a new partition takes its place.
-- Drift, performance, alerts, notifications, mended and dropped events' errors are kept a year.

CREATE OR REPLACE FUNCTION ml.apply_retention(p_at timestamptz DEFAULT now())
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Bounds of partitions are read as text.
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
DECLARE
    v_most_weeks CONSTANT integer := 8;
    v_hour CONSTANT interval := interval '1 hour';
    v_origin CONSTANT timestamptz := timestamptz '2000-01-01 00:00:00+00';
    v_started timestamptz := clock_timestamp();
    v_year_ago timestamptz := p_at - interval '1 year';
    v_settings public.ml_settings;
    v_state public.ml_jobs;
    v_until timestamptz;
    v_week record;
    v_problem text;
    v_rows bigint;
    v_has_rows boolean;
    v_deleted jsonb := '{}'::jsonb;
    v_archived text[] := '{}'::text[];
    v_dropped text[] := '{}'::text[];
    v_waiting text[] := '{}'::text[];
    v_failed jsonb := '{}'::jsonb;
    v_left integer := 0;
    v_leaving text[] := '{}'::text[];
    v_counts bigint[] := '{}'::bigint[];
    v_report jsonb;
BEGIN
    IF p_at IS NULL OR NOT isfinite(p_at) THEN
        RAISE EXCEPTION 'p_at is %: give a time', coalesce(p_at::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_settings FROM public.ml_settings;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF NOT ml.lock_job('retention') THEN
        RETURN jsonb_build_object('status', 'skipped', 'reason', 'retention is being applied already');
    END IF;
    SELECT min(p.predicted_at) INTO v_until FROM public.ml_predictions AS p;
    IF v_until < p_at - v_settings.retention_predictions THEN
        -- What leaves the log must have been counted.
        PERFORM ml.roll_up(least(p_at, clock_timestamp()), 2000000);
    END IF;
    SELECT * INTO v_state FROM public.ml_jobs AS j WHERE j.job = 'roll_up' FOR UPDATE;

    -- Minutes whose hours are stored; a reader who asks for older ones gets them from the log.
    v_until := least(
        date_bin(v_hour, p_at - v_settings.retention_metrics_1m, v_origin),
        date_bin(v_hour, v_state.rolled_up_until, v_origin)
    );
    IF v_state.minutes_from < v_until THEN
        DELETE FROM public.ml_metrics_1m AS m WHERE m.bucket < v_until;
        GET DIAGNOSTICS v_rows = ROW_COUNT;
        v_deleted := v_deleted || jsonb_build_object('ml_metrics_1m', v_rows);
        UPDATE public.ml_jobs AS j SET minutes_from = v_until WHERE j.job = 'roll_up';
    END IF;
    DELETE FROM public.ml_metrics_1h AS m WHERE m.bucket < p_at - v_settings.retention_metrics_1h;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_deleted := v_deleted || jsonb_build_object('ml_metrics_1h', v_rows);
    DELETE FROM public.ml_drift AS d WHERE d.run_at < v_year_ago;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_deleted := v_deleted || jsonb_build_object('ml_drift', v_rows);
    DELETE FROM public.ml_performance AS p WHERE p.run_at < v_year_ago;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_deleted := v_deleted || jsonb_build_object('ml_performance', v_rows);
    DELETE FROM public.ml_alert_transitions AS t WHERE t.occurred_at < v_year_ago;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_deleted := v_deleted || jsonb_build_object('ml_alert_transitions', v_rows);
    DELETE FROM public.ml_notifications AS n WHERE n.created_at < v_year_ago;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_deleted := v_deleted || jsonb_build_object('ml_notifications', v_rows);
    DELETE FROM public.ml_backfill_errors AS e WHERE e.resolved_at < v_year_ago;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_deleted := v_deleted || jsonb_build_object('ml_backfill_errors', v_rows);
    DELETE FROM public.ml_log_drops AS d WHERE d.dropped_at < v_year_ago;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_deleted := v_deleted || jsonb_build_object('ml_log_drops', v_rows);

    FOR v_week IN SELECT w.partition, w.exported FROM ml.archived_weeks AS w ORDER BY w.partition LOOP
        IF v_week.exported OR NOT v_settings.archive_required THEN
            v_problem := ml.drop_week(v_week.partition, NOT v_settings.archive_required);
            IF v_problem IS NULL THEN
                v_dropped := v_dropped || v_week.partition;
            ELSE
                v_failed := v_failed || jsonb_build_object(v_week.partition, v_problem);
            END IF;
        ELSE
            v_waiting := v_waiting || v_week.partition;
        END IF;
    END LOOP;

    FOR v_week IN
        SELECT p.partition, p.until
        FROM (
            SELECT
                c.relname::text AS partition,
                substring(pg_get_expr(c.relpartbound, c.oid) FROM $$TO \('([^']+)'\)$$)::timestamptz AS until
            FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'public.ml_predictions'::regclass
        ) AS p
        WHERE p.until <= p_at - v_settings.retention_predictions
            AND p.partition ~ '^ml_predictions_[0-9]{4}w[0-9]{2}$'
        ORDER BY p.until
    LOOP
        IF v_week.until > v_started THEN
            -- Partitions of the time to come wait for their rows.
            EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', v_week.partition) INTO v_has_rows;
            CONTINUE WHEN NOT v_has_rows;
        ELSIF (v_state.rolled_up_until >= v_week.until) IS NOT TRUE THEN
            v_failed := v_failed || jsonb_build_object(
                v_week.partition, 'its hours are not rolled up yet: call ml.tick() until nothing is left'::text);
            CONTINUE;
        END IF;
        IF cardinality(v_leaving) >= v_most_weeks THEN
            v_left := v_left + 1;
            CONTINUE;
        END IF;
        v_rows := NULL;
        IF NOT v_settings.archive_required THEN
            -- Counted now, not while the log is locked.
            EXECUTE format('SELECT count(*) FROM public.%I', v_week.partition) INTO v_rows;
        END IF;
        v_leaving := v_leaving || v_week.partition;
        v_counts := v_counts || v_rows;
    END LOOP;

    FOR v_week IN SELECT l.partition, l.rows FROM unnest(v_leaving, v_counts) AS l (partition, rows) LOOP
        -- From the first success on the log is locked: no more waiting.
        v_problem := ml.detach_week(v_week.partition, CASE WHEN v_archived = '{}' THEN 3 ELSE 1 END);
        IF v_problem IS NULL THEN
            v_archived := v_archived || v_week.partition;
            IF v_settings.archive_required THEN
                v_waiting := v_waiting || v_week.partition;
            ELSE
                v_problem := ml.drop_week(v_week.partition, true, v_week.rows);
            END IF;
        END IF;
        IF v_problem IS NOT NULL THEN
            v_failed := v_failed || jsonb_build_object(v_week.partition, v_problem);
            -- The log is in use: the other weeks would only make writers queue again.
            EXIT;
        END IF;
        IF NOT v_settings.archive_required THEN
            v_dropped := v_dropped || v_week.partition;
        END IF;
    END LOOP;

    IF v_archived <> '{}' AND p_at > v_started THEN
        PERFORM ml.create_prediction_partitions(v_started);
    END IF;

    v_report := jsonb_build_object(
        'status', CASE WHEN v_failed = '{}' THEN 'done' ELSE 'incomplete' END,
        'archived', to_jsonb(v_archived),
        'waiting_for_export', to_jsonb(v_waiting),
        'dropped', to_jsonb(v_dropped),
        'deleted', v_deleted,
        'left_weeks', v_left,
        'problems', v_failed
    );
    INSERT INTO public.ml_jobs AS j (job, last_run_at, started_at, finished_at, runs, report, last_error)
    VALUES (
        'retention', p_at, v_started, clock_timestamp(), 1, v_report, CASE WHEN v_failed <> '{}' THEN v_failed::text END
    )
    ON CONFLICT (job) DO UPDATE SET
        last_run_at = excluded.last_run_at,
        started_at = excluded.started_at,
        finished_at = excluded.finished_at,
        runs = j.runs + 1,
        report = excluded.report,
        last_error = excluded.last_error;
    RETURN v_report;
END
$function$;
COMMENT ON FUNCTION ml.apply_retention IS
    'Moves weeks of the log that are past their time to ml_archive, drops exported ones, deletes old minutes and hours.';
REVOKE ALL ON FUNCTION ml.apply_retention FROM PUBLIC;
