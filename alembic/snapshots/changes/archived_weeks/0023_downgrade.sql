-- Takes every week of the log that waits for its export back into ml_predictions.
-- Called by: the downgrade of revision 0023. Calls: nothing. Reads: ml.archived_weeks. Writes: ml_predictions.

DO $downgrade$
DECLARE
    v_week record;
    v_from timestamptz;
BEGIN
    FOR v_week IN SELECT w.partition FROM ml.archived_weeks AS w LOOP
        v_from := (pg_catalog.to_timestamp(right(v_week.partition, 7), 'IYYY"w"IW')::date)::timestamp AT TIME ZONE 'UTC';
        EXECUTE format('ALTER TABLE ml_archive.%I SET SCHEMA public', v_week.partition);
        EXECUTE format(
            'ALTER TABLE public.ml_predictions ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
            v_week.partition, v_from, v_from + interval '168 hours');
    END LOOP;
END
$downgrade$;
