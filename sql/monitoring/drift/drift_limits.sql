-- From which value on a method says watch or drift, and how many values on either side each of the two needs.
-- Called by: ml.feature_drift. Calls: nothing. Reads: ml_settings. Writes: nothing.

-- Without any drift a distance is above 0 by chance, and the more so the fewer values: a limit below that noise would be
-- a false alarm every day. So a distance t needs the larger of a floor and 10 / t^2 values (psi: 50 / t, it grows as the
-- square of a distance); 200 for a Jensen-Shannon distance of 0.3, 1,000 for 0.1. Distances other than jensen_shannon have
-- the limit of 0.1 that Evidently 0.7 has. Tests need 30 values; their limit is the level before correction.
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
        drift_minimum := CASE p_method WHEN 'wasserstein' THEN 1000 ELSE 500 END;
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.drift_limits IS
    'From which value on a method says watch or drift, and how many values on either side each of the two needs.';
REVOKE ALL ON FUNCTION ml.drift_limits FROM PUBLIC;
