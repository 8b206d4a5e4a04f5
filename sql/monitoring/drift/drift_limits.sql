-- From which value on a method says watch or drift, and how many values on either side each of the two needs.
-- Called by: ml.feature_drift. Calls: nothing. Reads: ml_settings. Writes: nothing.

-- Without any drift a distance is above 0 by chance, and the more so the fewer values: a limit below that noise would be
-- a false alarm every day. jensen_shannon at a limit of t needs 10 / t^2 values, 200 at least: 1,000 for 0.1. The others
-- have the limit of 0.1 that Evidently 0.7 has, and need 500 (psi, jensen_shannon_natural) or 1,000 (hellinger,
-- wasserstein). Tests need 30 values; their limit is the level before correction.
CREATE OR REPLACE FUNCTION ml.drift_limits(
    p_method text,
    OUT watch_from double precision,
    OUT watch_minimum bigint,
    OUT drift_from double precision,
    OUT drift_minimum bigint,
    OUT is_test boolean
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    is_test := p_method IN ('kolmogorov_smirnov', 'chi_square');
    IF is_test THEN
        drift_from := 0.05;
        drift_minimum := 30;
    ELSIF p_method = 'jensen_shannon' THEN
        SELECT
            settings.drift_watch_distance, greatest(200, round(10 / settings.drift_watch_distance ^ 2)),
            settings.drift_alert_distance, greatest(200, round(10 / settings.drift_alert_distance ^ 2))
        INTO watch_from, watch_minimum, drift_from, drift_minimum
        FROM (SELECT) AS always
        LEFT JOIN public.ml_settings AS stored ON true
        -- Without its row the defaults hold.
        CROSS JOIN LATERAL (
            SELECT
                coalesce(stored.drift_watch_distance, 0.1) AS drift_watch_distance,
                coalesce(stored.drift_alert_distance, 0.3) AS drift_alert_distance
        ) AS settings;
    ELSE
        drift_from := 0.1;
        drift_minimum := CASE WHEN p_method IN ('psi', 'jensen_shannon_natural') THEN 500 ELSE 1000 END;
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.drift_limits IS
    'From which value on a method says watch or drift, and how many values on either side each of the two needs.';
REVOKE ALL ON FUNCTION ml.drift_limits FROM PUBLIC;
