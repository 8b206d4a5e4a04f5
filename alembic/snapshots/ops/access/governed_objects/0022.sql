-- Every schema, table, view, sequence and function whose rights ml.grant_access governs; a user's own objects are not among them.
-- Called by: ml.role_rights, ml.grant_access. Calls: nothing. Reads: ml.owned_objects, pg_catalog. Writes: nothing.

CREATE VIEW ml.governed_objects AS
WITH relations AS (
    SELECT
        class.oid, class.relname, class.relkind, class.relowner, class.relacl, namespace.nspname
    FROM pg_catalog.pg_class AS class
    INNER JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE namespace.nspname IN ('ml', 'ml_generated')
        OR (
            -- Others in this schema may be the user's, whatever their names begin with.
            namespace.nspname = 'public' AND (
                class.relname IN (
                    'price_bars', 'pattern_events', 'pattern_labels', 'pattern_lifecycle_history', 'confidence_overrides',
                    'confirmed_patterns', 'overridden_patterns',
                    'ml_timeframes', 'ml_features', 'ml_label_definitions', 'ml_settings', 'ml_models', 'ml_calibrators',
                    'ml_aliases', 'ml_deployments', 'ml_gates', 'ml_gate_results', 'ml_predictions', 'ml_log_drops',
                    'ml_metrics_1m', 'ml_metrics_1h', 'ml_jobs', 'ml_baselines', 'ml_baseline_features',
                    'ml_baseline_performance', 'ml_drift', 'ml_performance', 'ml_alert_rules', 'ml_alerts',
                    'ml_alert_transitions', 'ml_notifications', 'ml_log', 'ml_deployment_audit', 'ml_archives',
                    'ml_backfill_errors', 'ml_feature_drift', 'ml_model_performance',
                    'ml_challenger_pairs', 'ml_challenger_comparison', 'ml_rules_comparison'
                )
                OR class.relname ~ '^ml_predictions_[0-9]{4}w[0-9]{2}$'
            )
        )
)

SELECT
    'schema' AS kind,
    namespace.oid AS object,
    namespace.nspname::pg_catalog.text AS schema,
    namespace.nspname::pg_catalog.text AS name,
    pg_catalog.format('%I', namespace.nspname) AS identity,
    namespace.nspowner AS owner,
    namespace.nspacl AS rights,
    false AS is_adopted
FROM pg_catalog.pg_namespace AS namespace
WHERE namespace.nspname IN ('ml', 'ml_generated')
UNION ALL
SELECT
    'table',
    relation.oid,
    relation.nspname::pg_catalog.text,
    relation.relname::pg_catalog.text,
    pg_catalog.format('%I.%I', relation.nspname, relation.relname),
    relation.relowner,
    relation.relacl,
    relation.nspname = 'public' AND relation.relname = 'pattern_events' AND NOT EXISTS (
        SELECT FROM ml.owned_objects AS owned WHERE owned.kind = 'table' AND owned.name = 'pattern_events'
    )
FROM relations AS relation
WHERE relation.relkind IN ('r', 'p', 'v', 'm')
UNION ALL
-- The sequence of an identity column is in the schema of its table.
SELECT
    'sequence',
    sequence.oid,
    relation.nspname::pg_catalog.text,
    sequence.relname::pg_catalog.text,
    pg_catalog.format('%I.%I', relation.nspname, sequence.relname),
    sequence.relowner,
    sequence.relacl,
    relation.relname = 'pattern_events'
FROM relations AS relation
INNER JOIN pg_catalog.pg_depend AS dependency
    ON dependency.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND dependency.refobjid = relation.oid
    AND dependency.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND dependency.deptype IN ('a', 'i')
INNER JOIN pg_catalog.pg_class AS sequence ON sequence.oid = dependency.objid AND sequence.relkind = 'S'
WHERE relation.relkind = 'r'
UNION ALL
SELECT
    'function',
    function.oid,
    namespace.nspname::pg_catalog.text,
    function.proname::pg_catalog.text,
    function.oid::pg_catalog.regprocedure::pg_catalog.text,
    function.proowner,
    function.proacl,
    false
FROM pg_catalog.pg_proc AS function
INNER JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = function.pronamespace
WHERE namespace.nspname IN ('ml', 'ml_generated')
    OR (
        namespace.nspname = 'public' AND function.proname IN (
            'ml_health', 'ml_metrics', 'ml_alerts', 'ml_set_baseline', 'ml_pattern_confidence', 'log_ml_prediction'
        )
    );
COMMENT ON VIEW ml.governed_objects IS
    'Every schema, table, view, sequence and function whose rights ml.grant_access governs; a user''s own objects are not among them.';
COMMENT ON COLUMN ml.governed_objects.is_adopted IS
    'The user made it: our roles get their rights on it, and what others hold stays theirs.';
