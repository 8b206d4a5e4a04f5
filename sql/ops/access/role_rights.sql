-- What each of the roles ml_writer, ml_analyst, ml_ops and ml_dashboard may do, one row per right; nothing else is theirs.
-- Called by: ml.grant_access, people. Calls: nothing. Reads: ml.governed_objects, pg_catalog. Writes: nothing.

-- ml_writer     inserts bars and the input columns of events; labels, scores and the record of a score are out of reach.
-- ml_analyst    reads everything, labels, overrides a confidence, explains and replays scores.
-- ml_ops        reads everything, switches, promotes, runs jobs, changes settings, gates and alert rules.
-- ml_dashboard  reads panels, the log, the audit and the experiments, and of the events no more than those show.
-- attribute is the column of a right on one column, null for a right on the whole object.
CREATE OR REPLACE FUNCTION ml.role_rights()
RETURNS TABLE (role text, kind text, object oid, identity text, privilege text, attribute text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    WITH governed AS (
        SELECT * FROM ml.governed_objects
    ),
    -- Partitions are reached through their table alone.
    readable AS (
        SELECT
            g.*,
            c.relkind = 'v' AND g.schema = 'ml' AS is_internal_view,
            c.relkind = 'v' AND g.schema = 'ml' AND g.name LIKE 'v\_ml\_%' AS is_panel
        FROM governed AS g
        INNER JOIN pg_class AS c ON c.oid = g.object
        WHERE g.kind = 'table' AND NOT c.relispartition AND g.name !~ '^ml_predictions_[0-9]'
    ),
    -- Run with the rights of whoever calls them and write nothing: they give no right that the caller has not.
    harmless AS (
        SELECT g.*
        FROM governed AS g
        INNER JOIN pg_proc AS p ON p.oid = g.object
        WHERE g.kind = 'function' AND g.schema <> 'public'
            AND p.provolatile IN ('i', 's') AND NOT p.prosecdef AND p.prorettype <> 'trigger'::regtype
    ),
    -- Whoever reads a view needs the functions in it, and those in the views under it.
    panel_functions AS (
        SELECT g.*
        FROM governed AS g
        INNER JOIN pg_proc AS p ON p.oid = g.object AND p.provolatile IN ('i', 's')
        WHERE g.kind = 'function' AND EXISTS (
            SELECT
            FROM pg_depend AS d
            INNER JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
            INNER JOIN readable AS v ON v.object = r.ev_class AND v.is_internal_view
            WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = g.object
        )
    ),
    columns AS (
        SELECT g.*, a.attname::text AS attribute
        FROM governed AS g
        INNER JOIN pg_attribute AS a ON a.attrelid = g.object AND a.attnum > 0 AND NOT a.attisdropped
        WHERE g.kind = 'table' AND g.schema = 'public'
    )

    -- Schemas
    SELECT r.role, g.kind, g.object, g.identity, 'USAGE', NULL
    FROM governed AS g
    INNER JOIN (VALUES
        ('ml_writer', 'ml'),
        ('ml_analyst', 'ml'), ('ml_analyst', 'ml_generated'),
        ('ml_ops', 'ml'), ('ml_ops', 'ml_generated'),
        ('ml_dashboard', 'ml')
    ) AS r (role, schema) ON r.schema = g.schema
    WHERE g.kind = 'schema'

    -- Tables and views
    UNION ALL
    SELECT r.role, g.kind, g.object, g.identity, 'SELECT', NULL
    FROM readable AS g
    CROSS JOIN (VALUES ('ml_analyst'), ('ml_ops')) AS r (role)
    UNION ALL
    SELECT 'ml_dashboard', g.kind, g.object, g.identity, 'SELECT', NULL
    FROM readable AS g WHERE g.is_panel
    UNION ALL
    SELECT r.role, g.kind, g.object, g.identity, p.privilege, NULL
    FROM readable AS g
    INNER JOIN (VALUES
        ('ml_writer', 'public.pattern_events', '{SELECT}'::text[]),
        ('ml_writer', 'public.confirmed_patterns', '{SELECT}'),
        ('ml_writer', 'public.price_bars', '{SELECT,INSERT,UPDATE}'),
        ('ml_writer', 'public.ml_timeframes', '{SELECT}'),
        ('ml_writer', 'ml.pattern_types', '{SELECT}'),
        ('ml_writer', 'ml.narrative_phrases', '{SELECT}'),
        ('ml_ops', 'public.ml_alert_rules', '{INSERT,UPDATE,DELETE}'),
        -- Emptied, the states of alerts start anew.
        ('ml_ops', 'public.ml_alerts', '{DELETE}'),
        ('ml_dashboard', 'public.ml_log', '{SELECT}'),
        ('ml_dashboard', 'public.ml_deployment_audit', '{SELECT}'),
        ('ml_dashboard', 'public.ml_challenger_pairs', '{SELECT}'),
        ('ml_dashboard', 'public.ml_challenger_comparison', '{SELECT}'),
        ('ml_dashboard', 'public.ml_rules_comparison', '{SELECT}'),
        ('ml_dashboard', 'public.ml_predictions', '{SELECT}'),
        ('ml_dashboard', 'public.ml_deployments', '{SELECT}'),
        ('ml_dashboard', 'public.ml_log_drops', '{SELECT}'),
        ('ml_dashboard', 'public.ml_settings', '{SELECT}'),
        ('ml_dashboard', 'public.ml_alert_rules', '{SELECT}'),
        ('ml_dashboard', 'public.ml_alert_transitions', '{SELECT}')
    ) AS r (role, relation, privileges) ON r.relation = g.schema || '.' || g.name
    CROSS JOIN unnest(r.privileges) AS p (privilege)

    -- Columns
    UNION ALL
    SELECT 'ml_writer', c.kind, c.object, c.identity, p.privilege, c.attribute
    FROM columns AS c
    CROSS JOIN (VALUES ('INSERT'), ('UPDATE')) AS p (privilege)
    WHERE c.name = 'pattern_events'
        -- Another id would take the score of one event to another.
        AND (p.privilege = 'INSERT' OR c.attribute <> 'id')
        AND c.attribute NOT IN (
            'outcome_label', 'outcome_at', 'realized_pnl', 'max_drawdown', 'label_source', 'data_quality_score',
            'used_for_training', 'training_split',
            'ml_features', 'ml_confidence_raw', 'ml_confidence', 'blended_confidence', 'prediction_class',
            'model_version', 'ml_metadata'
        )
    UNION ALL
    -- What the view confirmed_patterns compares with.
    SELECT 'ml_writer', c.kind, c.object, c.identity, 'SELECT', c.attribute
    FROM columns AS c WHERE c.name = 'ml_settings' AND c.attribute = 'confidence_threshold'
    UNION ALL
    SELECT 'ml_ops', c.kind, c.object, c.identity, p.privilege, c.attribute
    FROM columns AS c
    INNER JOIN (VALUES
        ('ml_gates', 'UPDATE', 'threshold'), ('ml_gates', 'UPDATE', 'blocking'),
        ('ml_timeframes', 'UPDATE', 'max_bar_age'),
        -- What trainer notify writes.
        ('ml_notifications', 'UPDATE', 'attempts'), ('ml_notifications', 'UPDATE', 'next_attempt_at'),
        ('ml_notifications', 'UPDATE', 'delivered_at'), ('ml_notifications', 'UPDATE', 'abandoned_at'),
        ('ml_notifications', 'UPDATE', 'last_error'),
        -- Enough to restore the row with its defaults when it is lost.
        ('ml_settings', 'INSERT', 'singleton')
    ) AS p (name, privilege, attribute) ON p.name = c.name AND p.attribute = c.attribute
    UNION ALL
    SELECT 'ml_ops', c.kind, c.object, c.identity, 'UPDATE', c.attribute
    FROM columns AS c WHERE c.name = 'ml_settings' AND c.attribute <> 'singleton'
    UNION ALL
    SELECT 'ml_dashboard', c.kind, c.object, c.identity, 'SELECT', c.attribute
    FROM columns AS c
    WHERE c.name = 'pattern_events'
        AND c.attribute IN ('id', 'symbol', 'timeframe', 'pattern_type', 'detected_at', 'outcome_label')

    -- Functions
    UNION
    SELECT r.role, g.kind, g.object, g.identity, 'EXECUTE', NULL
    FROM harmless AS g
    INNER JOIN (VALUES
        ('ml_analyst', 'ml'), ('ml_analyst', 'ml_generated'),
        ('ml_ops', 'ml'), ('ml_ops', 'ml_generated'),
        ('ml_dashboard', 'ml')
    ) AS r (role, schema) ON r.schema = g.schema
    UNION
    SELECT r.role, g.kind, g.object, g.identity, 'EXECUTE', NULL
    FROM panel_functions AS g
    CROSS JOIN (VALUES ('ml_analyst'), ('ml_ops'), ('ml_dashboard')) AS r (role)
    UNION
    SELECT r.role, g.kind, g.object, g.identity, 'EXECUTE', NULL
    FROM governed AS g
    INNER JOIN (VALUES
        ('public.ml_health', '{ml_writer,ml_analyst,ml_ops,ml_dashboard}'::text[]),
        ('public.ml_metrics', '{ml_analyst,ml_ops,ml_dashboard}'),
        ('public.ml_alerts', '{ml_analyst,ml_ops,ml_dashboard}'),
        ('public.ml_pattern_confidence', '{ml_analyst,ml_ops}'),
        ('public.log_ml_prediction', '{ml_writer}'),
        ('public.ml_set_baseline', '{ml_ops}'),
        ('ml.parse_pattern', '{ml_writer}'),
        ('ml.narrative_tokens', '{ml_writer}'),
        ('ml.narrative_words', '{ml_writer}'),
        ('ml.ingest_pattern', '{ml_writer}'),
        ('ml.set_label', '{ml_analyst}'),
        ('ml.withdraw_label', '{ml_analyst}'),
        ('ml.override_confidence', '{ml_analyst}'),
        ('ml.withdraw_override', '{ml_analyst}'),
        ('ml.tune_blend_weights', '{ml_analyst,ml_ops}'),
        ('ml.check_stage', '{ml_analyst,ml_ops}'),
        ('ml.enable', '{ml_ops}'),
        ('ml.disable', '{ml_ops}'),
        ('ml.set_rollout', '{ml_ops}'),
        ('ml.set_weights', '{ml_ops}'),
        ('ml.accept_threshold', '{ml_ops}'),
        ('ml.close_breaker', '{ml_ops}'),
        ('ml.check_promotion', '{ml_ops}'),
        ('ml.promote', '{ml_ops}'),
        ('ml.rollback', '{ml_ops}'),
        ('ml.set_challenger', '{ml_ops}'),
        ('ml.withdraw_challenger', '{ml_ops}'),
        ('ml.advance', '{ml_ops}'),
        ('ml.recalibrate', '{ml_ops}'),
        ('ml.backfill', '{ml_ops}'),
        ('ml.rescore', '{ml_ops}'),
        ('ml.refresh_bar_indicators', '{ml_ops}'),
        ('ml.create_prediction_partitions', '{ml_ops}'),
        ('ml.tick', '{ml_ops}'),
        ('ml.nightly', '{ml_ops}'),
        ('ml.apply_retention', '{ml_ops}'),
        ('ml.run_drift', '{ml_ops}'),
        ('ml.run_performance', '{ml_ops}'),
        ('ml.evaluate_alerts', '{ml_ops}'),
        ('ml.silence_alert', '{ml_ops}')
    ) AS f (function, roles) ON f.function = g.schema || '.' || g.name
    CROSS JOIN unnest(f.roles) AS r (role)
    WHERE g.kind = 'function'
$function$;
COMMENT ON FUNCTION ml.role_rights IS
    'What each of the roles ml_writer, ml_analyst, ml_ops and ml_dashboard may do, one row per right; nothing else is theirs.';
REVOKE ALL ON FUNCTION ml.role_rights FROM PUBLIC;
