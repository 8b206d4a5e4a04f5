-- Stores what has become final of the log in ml_metrics_1m and ml_metrics_1h; the work of one call is bounded.
-- Called by: ml.run_step, people.
-- Calls: ml.lock_job, ml.runs_before, ml.summarize_predictions, ml.merge_minutes, ml.recompute_metrics.
-- Reads: ml_predictions, ml_settings, pg_catalog. Writes: ml_metrics_1m, ml_metrics_1h, ml_jobs.
--
-- A prediction carries the time of its scoring and is seen when its transaction commits. A call notes the time and takes
-- a transaction id; once every transaction below that id has ended, no prediction from before that time can appear any
-- more, and its minutes are final (scoring takes an id at most a second after its time). A transaction of another
-- database of the server holds up nothing, and one of this database that stays open not for long: what is 15 minutes old
-- is stored without it, and counted once more when it has ended. Nothing on the way of a write is locked.
--
-- Oldest first, at most about p_limit predictions; rolled_up_until says how far it is, left_minutes how much is left.

CREATE OR REPLACE FUNCTION ml.roll_up(p_at timestamptz DEFAULT now(), p_limit integer DEFAULT 20000)
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Times are written as text.
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET jit = off
AS $function$
DECLARE
    v_minute CONSTANT interval := interval '1 minute';
    v_hour CONSTANT interval := interval '1 hour';
    v_patience CONSTANT interval := interval '15 minutes';
    v_origin CONSTANT timestamptz := timestamptz '2000-01-01 00:00:00+00';
    v_xid xid8;
    v_snapshot pg_snapshot;
    v_state public.ml_jobs;
    v_now timestamptz;
    v_closed timestamptz;
    v_from timestamptz;
    v_to timestamptz;
    v_target timestamptz;
    v_reached timestamptz;
    v_idle boolean;
    v_ended boolean;
    v_replaced integer := 0;
    v_rows integer := 0;
BEGIN
    IF p_at IS NULL OR NOT isfinite(p_at) THEN
        RAISE EXCEPTION 'p_at is %: give a time', coalesce(p_at::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_limit < 1 OR p_limit IS NULL THEN
        RAISE EXCEPTION 'p_limit is %: it must be at least 1', coalesce(p_limit::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- The id must be taken now: one that this transaction has already, or a snapshot of the whole of it, says nothing
    -- about what was scored after its start.
    v_now := CASE
        WHEN pg_current_xact_id_if_assigned() IS NULL AND current_setting('transaction_isolation') = 'read committed'
            THEN clock_timestamp()
        ELSE transaction_timestamp()
    END;
    IF NOT ml.lock_job('roll_up') THEN
        RETURN jsonb_build_object('status', 'skipped', 'reason', 'another roll-up is running');
    END IF;
    v_xid := pg_current_xact_id();
    v_snapshot := pg_current_snapshot();
    v_closed := date_bin(v_minute, least(p_at, v_now) - interval '1 second', v_origin);

    INSERT INTO public.ml_jobs (job) VALUES ('roll_up') ON CONFLICT (job) DO NOTHING;
    SELECT * INTO v_state FROM public.ml_jobs AS j WHERE j.job = 'roll_up' FOR UPDATE;
    IF p_at < v_state.last_run_at AND (v_state.last_run_at <= v_now + v_minute OR p_at > v_now + v_minute) THEN
        RETURN jsonb_build_object('status', 'skipped', 'reason', format(
            'p_at %s is before that of the last run, %s', p_at, v_state.last_run_at));
    END IF;
    IF v_state.rolled_up_until > v_now THEN
        -- The clock was ahead and has been put right, nobody knows when: predictions of minutes that were thought final
        -- have come or can still come.
        v_state.rolled_up_until := date_bin(v_minute, v_now, v_origin);
        v_state.final_until := least(v_state.final_until, v_state.rolled_up_until - interval '2 days');
    END IF;
    IF v_state.checkpoint_at > v_now OR v_state.checkpoint_xid > v_xid THEN
        -- Or the database has moved to another server, where ids start anew.
        v_state.checkpoint_at := NULL;
    END IF;
    IF v_state.rolled_up_until IS NULL THEN
        SELECT date_bin(v_hour, least(min(p.predicted_at), v_closed), v_origin) INTO v_state.rolled_up_until
        FROM public.ml_predictions AS p;
        v_state.final_until := v_state.rolled_up_until;
        SELECT greatest(
            date_bin(v_hour, least(p_at, v_now) - s.retention_metrics_1m, v_origin), v_state.rolled_up_until
        ) INTO v_state.minutes_from FROM public.ml_settings AS s;
    END IF;
    v_idle := NOT ml.runs_before(v_xid, v_snapshot);
    IF v_state.checkpoint_at IS NULL OR v_idle THEN
        v_state.checkpoint_at := v_closed;
        v_state.checkpoint_xid := v_xid;
    END IF;
    v_ended := NOT ml.runs_before(v_state.checkpoint_xid, v_snapshot);

    v_target := greatest(
        CASE WHEN v_ended THEN v_state.checkpoint_at ELSE v_state.final_until END,
        v_closed - v_patience,
        v_state.rolled_up_until
    );

    -- What was stored without waiting for a transaction that has ended now.
    IF v_ended AND v_state.final_until < least(v_state.rolled_up_until, v_state.checkpoint_at) THEN
        v_replaced := ml.recompute_metrics(v_state.final_until, least(v_state.rolled_up_until, v_state.checkpoint_at));
        v_state.final_until := least(v_state.rolled_up_until, v_state.checkpoint_at);
    END IF;

    -- Hours that are too old for minutes, then minutes and the hours that they complete.
    v_from := v_state.rolled_up_until;
    v_reached := v_from;
    IF v_from < v_target THEN
        SELECT least(v_target, limited.predicted_at) INTO v_reached
        FROM (SELECT v_target AS target) AS always
        LEFT JOIN LATERAL (
            SELECT p.predicted_at FROM public.ml_predictions AS p
            WHERE p.predicted_at >= v_from AND p.predicted_at < always.target
            ORDER BY p.predicted_at OFFSET p_limit LIMIT 1
        ) AS limited ON true;
        IF v_from < v_state.minutes_from THEN
            v_to := least(
                greatest(date_bin(v_hour, v_reached, v_origin), date_bin(v_hour, v_from, v_origin) + v_hour),
                date_bin(v_hour, v_target, v_origin),
                v_state.minutes_from
            );
            DELETE FROM public.ml_metrics_1h AS m WHERE m.bucket >= v_from AND m.bucket < v_to;
            INSERT INTO public.ml_metrics_1h SELECT * FROM ml.summarize_predictions(v_from, v_to, v_hour);
            v_from := v_to;
        END IF;
        v_to := least(greatest(date_bin(v_minute, v_reached, v_origin), v_from + v_minute), v_target);
        IF v_from >= v_state.minutes_from AND v_from < v_to THEN
            DELETE FROM public.ml_metrics_1m AS m WHERE m.bucket >= v_from AND m.bucket < v_to;
            INSERT INTO public.ml_metrics_1m SELECT * FROM ml.summarize_predictions(v_from, v_to, v_minute);
            GET DIAGNOSTICS v_rows = ROW_COUNT;
        ELSE
            v_to := v_from;
        END IF;
        v_reached := v_to;
        IF v_ended AND v_state.final_until = v_state.rolled_up_until THEN
            v_state.final_until := least(v_reached, v_state.checkpoint_at);
        END IF;
    END IF;
    IF v_ended AND v_state.final_until >= v_state.checkpoint_at THEN
        v_state.checkpoint_at := v_closed;
        v_state.checkpoint_xid := v_xid;
    END IF;

    UPDATE public.ml_jobs AS j
    SET last_run_at = p_at,
        runs = j.runs + 1,
        rolled_up_until = v_reached,
        final_until = v_state.final_until,
        minutes_from = v_state.minutes_from,
        checkpoint_at = v_state.checkpoint_at,
        checkpoint_xid = v_state.checkpoint_xid
    WHERE j.job = 'roll_up';
    -- The hours that these minutes complete; merging reads what was stored above, hence after rolled_up_until has moved.
    v_from := greatest(date_bin(v_hour, v_state.rolled_up_until, v_origin), v_state.minutes_from);
    v_to := date_bin(v_hour, v_reached, v_origin);
    IF v_from < v_to THEN
        DELETE FROM public.ml_metrics_1h AS m WHERE m.bucket >= v_from AND m.bucket < v_to;
        INSERT INTO public.ml_metrics_1h SELECT * FROM ml.merge_minutes(v_from, v_to);
    END IF;
    RETURN jsonb_build_object(
        'status', 'done',
        'rolled_up_until', v_reached,
        'final_until', v_state.final_until,
        'rows', v_rows,
        'replaced_minutes', v_replaced,
        'left_minutes', (extract(epoch FROM v_target - v_reached) / 60)::integer
    );
END
$function$;
COMMENT ON FUNCTION ml.roll_up IS
    'Stores what has become final of the log in ml_metrics_1m and ml_metrics_1h; the work of one call is bounded.';
REVOKE ALL ON FUNCTION ml.roll_up FROM PUBLIC;
