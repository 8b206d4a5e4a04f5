-- Periods in which a numeric setting had one value, from the audit of ml_settings.
-- Called by: ml.compare_versions, ml.compare_with_rules. Calls: nothing.
-- Reads: ml_deployments, ml_settings. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.setting_history(p_name text)
RETURNS TABLE (value double precision, since timestamptz, until timestamptz)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    WITH change AS (
        SELECT
            d.id,
            d.occurred_at,
            (d.details #>> ARRAY[p_name, 'old'])::double precision AS old_value,
            (d.details #>> ARRAY[p_name, 'new'])::double precision AS new_value
        FROM public.ml_deployments AS d
        WHERE jsonb_typeof(d.details #> ARRAY[p_name, 'new']) = 'number'
    )
    SELECT
        coalesce(
            (SELECT c.old_value FROM change AS c ORDER BY c.occurred_at, c.id LIMIT 1),
            (SELECT (to_jsonb(s) ->> p_name)::double precision FROM public.ml_settings AS s)
        ),
        '-infinity'::timestamptz,
        coalesce((SELECT min(c.occurred_at) FROM change AS c), 'infinity')
    UNION ALL
    SELECT c.new_value, c.occurred_at, lead(c.occurred_at, 1, 'infinity') OVER (ORDER BY c.occurred_at, c.id)
    FROM change AS c
$function$;
COMMENT ON FUNCTION ml.setting_history IS
    'Periods in which a numeric setting had one value, from the audit of ml_settings.';
REVOKE ALL ON FUNCTION ml.setting_history FROM PUBLIC;
