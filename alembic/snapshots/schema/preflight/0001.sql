-- Says, before anything is changed, which names of ours are taken by objects that the migrations did not make.
-- Called by: nothing. Calls: nothing. Reads: pg_catalog. Writes: nothing.

DO $preflight$
DECLARE
    v_taken text;
BEGIN
    SELECT string_agg(taken.name, ', ' ORDER BY taken.name) INTO v_taken
    FROM (
        SELECT format('table or view %I.%I', n.nspname, c.relname) AS name
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relname IN (
            'price_bars', 'pattern_lifecycle_history', 'confirmed_patterns', 'ml_timeframes', 'ml_features',
            'ml_models', 'ml_calibrators', 'ml_aliases', 'ml_deployments', 'ml_settings', 'ml_predictions',
            'ml_log_drops'
        )
        UNION ALL
        SELECT format('function %s', p.oid::pg_catalog.regprocedure)
        FROM pg_catalog.pg_proc AS p
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = 'public' AND p.proname IN ('ml_health', 'ml_pattern_confidence', 'log_ml_prediction')
        UNION ALL
        SELECT format('trigger %I on %s', t.tgname, t.tgrelid::pg_catalog.regclass)
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgrelid = to_regclass('public.pattern_events') AND t.tgname IN (
            'pattern_events_10_score', 'pattern_events_90_log_insert', 'pattern_events_90_log_update',
            'pattern_events_95_lifecycle'
        )
        UNION ALL
        -- The compiler's helpers may be there already, for models on tables of the user's own.
        SELECT format('schema %I, which is not empty,', n.nspname)
        FROM pg_catalog.pg_namespace AS n
        WHERE n.nspname IN ('ml', 'ml_generated') AND (
            EXISTS (
                SELECT FROM pg_catalog.pg_class AS c
                WHERE c.relnamespace = n.oid AND c.relname NOT IN ('alembic_version', 'alembic_version_pkc')
            ) OR EXISTS (
                SELECT FROM pg_catalog.pg_proc AS p
                WHERE p.pronamespace = n.oid AND p.proname NOT IN ('check_features', 'expit', 'exponential', 'softmax')
            )
        )
    ) AS taken;
    IF v_taken IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
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
