-- Up to when panels read hours, up to when minutes, and from when on they count the log; one row.
-- Called by: views panel_minutes, panel_hours, panel_outcomes, v_ml_adoption. Calls: nothing.
-- Reads: ml_jobs, ml_predictions. Writes: nothing.

-- What is not rolled up is counted from the log: with a scheduler the last minutes, without one everything. Panels then
-- count the newest 15,000 predictions, so that none takes longer than a second, however large the log is.
CREATE VIEW ml.panel_bounds AS
SELECT
    least(
        greatest(
            pg_catalog.date_bin('1 hour', pg_catalog.statement_timestamp() - interval '72 hours', '2000-01-01 00:00:00+00'),
            job.minutes_from
        ),
        pg_catalog.date_bin('1 hour', job.until, '2000-01-01 00:00:00+00')
    ) AS hours_until,
    job.until AS minutes_until,
    greatest(
        job.until,
        pg_catalog.date_bin('1 minute', (
            SELECT p.predicted_at + interval '1 minute' FROM public.ml_predictions AS p
            WHERE p.predicted_at >= coalesce(job.until, '-infinity')
            ORDER BY p.predicted_at DESC OFFSET 15000 LIMIT 1
        ), '2000-01-01 00:00:00+00')
    ) AS log_minutes_from,
    greatest(
        pg_catalog.date_bin('1 hour', job.until, '2000-01-01 00:00:00+00'),
        pg_catalog.date_bin('1 hour', (
            SELECT p.predicted_at + interval '1 hour' FROM public.ml_predictions AS p
            WHERE p.predicted_at >= coalesce(job.until, '-infinity')
            ORDER BY p.predicted_at DESC OFFSET 15000 LIMIT 1
        ), '2000-01-01 00:00:00+00')
    ) AS log_hours_from,
    greatest(
        pg_catalog.date_bin('1 day', pg_catalog.statement_timestamp() - interval '720 hours', '2000-01-01 00:00:00+00'),
        pg_catalog.date_bin('1 day', (
            SELECT p.predicted_at + interval '24 hours' FROM public.ml_predictions AS p
            WHERE p.predicted_at >= pg_catalog.statement_timestamp() - interval '720 hours'
            ORDER BY p.predicted_at DESC OFFSET 300000 LIMIT 1
        ), '2000-01-01 00:00:00+00')
    ) AS days_from,
    (
        SELECT greatest((count(*) FILTER (WHERE newest.source IN ('insert', 'update')) + 59999) / 60000, 1)
        FROM (
            SELECT p.source FROM public.ml_predictions AS p
            WHERE p.predicted_at >= pg_catalog.statement_timestamp() - interval '720 hours'
            ORDER BY p.predicted_at DESC LIMIT 300001
        ) AS newest
    ) AS day_step
FROM (
    SELECT
        max(j.minutes_from) AS minutes_from,
        max(least(
            j.rolled_up_until,
            pg_catalog.date_bin('1 minute', pg_catalog.statement_timestamp(), '2000-01-01 00:00:00+00')
        )) AS until
    FROM public.ml_jobs AS j
    WHERE j.job = 'roll_up'
) AS job;
COMMENT ON VIEW ml.panel_bounds IS
    'Up to when panels read hours, up to when minutes, and from when on they count the log; one row.';
COMMENT ON COLUMN ml.panel_bounds.hours_until IS 'panel_minutes: hours before this time, minutes from it on; NULL: never rolled up.';
COMMENT ON COLUMN ml.panel_bounds.minutes_until IS 'panel_minutes: stored minutes before this time.';
COMMENT ON COLUMN ml.panel_bounds.log_minutes_from IS 'panel_minutes: minutes counted from the log from this time on; NULL: all of it.';
COMMENT ON COLUMN ml.panel_bounds.log_hours_from IS 'panel_hours: hours counted from the log from this time on; NULL: all of it.';
COMMENT ON COLUMN ml.panel_bounds.days_from IS
    'First day of panels that join events: 30 days, or what the newest 300,000 predictions reach back.';
COMMENT ON COLUMN ml.panel_bounds.day_step IS
    'Of how many events such panels look one up: 1 up to 60,000 live predictions in 30 days, so that none takes longer than a second.';
