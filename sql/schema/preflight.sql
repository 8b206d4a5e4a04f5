-- Says, before anything is changed, which names of ours are taken by tables that the migrations did not make.
-- Called by: nothing. Calls: nothing. Reads: pg_catalog. Writes: nothing.

DO $preflight$
DECLARE
    v_taken text;
BEGIN
    SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY c.relname) INTO v_taken
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname IN (
        'price_bars', 'pattern_lifecycle_history', 'confirmed_patterns', 'ml_timeframes', 'ml_features', 'ml_models',
        'ml_calibrators', 'ml_aliases', 'ml_deployments', 'ml_settings', 'ml_predictions', 'ml_log_drops'
    );
    IF v_taken IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_table',
            MESSAGE = format('%s exist already and were not made by these migrations: rename or move them first', v_taken);
    END IF;

    -- A schema of somebody else's could hold functions that ours would call.
    SELECT string_agg(format('%I', n.nspname), ', ' ORDER BY n.nspname) INTO v_taken
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname IN ('ml', 'ml_generated') AND NOT pg_catalog.pg_has_role(n.nspowner, 'USAGE');
    IF v_taken IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('schema %s belongs to another role: migrate as its owner or drop it first', v_taken);
    END IF;
END
$preflight$;
