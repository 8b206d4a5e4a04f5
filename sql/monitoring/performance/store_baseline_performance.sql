-- Stores what the predictions of a baseline achieved on the outcomes known by now, if there are enough; says how many rows.
-- Called by: public.ml_set_baseline. Calls: ml.measure_baseline. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.store_baseline_performance(p_baseline_id bigint)
RETURNS integer
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT ml.measure_baseline(p_baseline_id, now())
$function$;
COMMENT ON FUNCTION ml.store_baseline_performance IS
    'Stores what the predictions of a baseline achieved on the outcomes known by now, if there are enough; says how many rows.';
REVOKE ALL ON FUNCTION ml.store_baseline_performance FROM PUBLIC;
