-- The largest Jensen-Shannon distance (base 2) of a feature with a verdict, in the newest run at or before a time.
-- Called by: alerts, health, people. Calls: nothing. Reads: ml_drift. Writes: nothing.

-- NULL: no run yet, or none of its features had enough values. NULL for p_at: now.
CREATE OR REPLACE FUNCTION ml.feature_drift_score(p_at timestamptz DEFAULT NULL)
RETURNS double precision
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT max(drift.value)
    FROM public.ml_drift AS drift
    WHERE drift.run_at = (
            SELECT newest.run_at
            FROM public.ml_drift AS newest
            WHERE newest.run_at <= coalesce(p_at, statement_timestamp()) AND newest.method = 'jensen_shannon'
            ORDER BY newest.run_at DESC
            LIMIT 1
        )
        AND drift.method = 'jensen_shannon' AND drift.subject = 'feature' AND drift.verdict <> 'insufficient_data'
$function$;
COMMENT ON FUNCTION ml.feature_drift_score IS
    'The largest Jensen-Shannon distance (base 2) of a feature with a verdict, in the newest run at or before a time.';
REVOKE ALL ON FUNCTION ml.feature_drift_score FROM PUBLIC;
