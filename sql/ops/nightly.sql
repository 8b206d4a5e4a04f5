-- What is due every night: roll-ups, partitions, drift, performance, alerts, labels, retention.
-- Called by: pg_cron, trainer nightly, operators. Calls: ml.run_job. Reads: ml_jobs. Writes: ml_jobs.
--
-- A second run for the same day (of UTC), or at the same time, does nothing and says so, unless a step of the first had
-- failed. A step that fails is in the report and does not stop the next. What is locked stays locked until the
-- transaction ends, so call this as a statement of its own. Hence labels come last but one: whoever updates an event that
-- was labelled waits for the labels and retention, not for the measurements, which take these labels in the next night.
-- Retention comes last: it locks the log.

CREATE OR REPLACE FUNCTION ml.nightly(p_at timestamptz DEFAULT now())
RETURNS jsonb
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Nothing here waits long for a row that another session has changed.
SET lock_timeout = '2s'
AS $function$
    SELECT ml.run_job('nightly', p_at, interval '1 day', ARRAY[
        'catch_up', 'recount', 'partitions', 'drift', 'performance', 'alerts', 'labels', 'retention'
    ])
$function$;
COMMENT ON FUNCTION ml.nightly IS
    'What is due every night: roll-ups, partitions, drift, performance, alerts, labels, retention.';
REVOKE ALL ON FUNCTION ml.nightly FROM PUBLIC;
