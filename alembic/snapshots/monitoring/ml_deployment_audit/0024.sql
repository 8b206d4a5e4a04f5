-- Every switch that decides who scores, with who did it and why, the first prediction under it and how many events followed.
-- Called by: people and applications. Calls: ml.metrics_by_hour. Reads: ml_deployments, ml_predictions. Writes: nothing.

CREATE VIEW public.ml_deployment_audit WITH (security_invoker = true) AS
SELECT
    switch.id AS deployment_id,
    switch.occurred_at,
    switch.until,
    switch.action,
    switch.actor,
    switch.reason,
    switch.version,
    switch.previous_version,
    switch.calibrator_version,
    opening.id AS first_prediction_id,
    opening.predicted_at AS first_predicted_at,
    following.events AS events_scored
FROM (
    SELECT
        deployment.*,
        kind.scored_by,
        -- Which version is live, whether ML is on, and what the challenger may do, end each other separately.
        lead(deployment.occurred_at) OVER (PARTITION BY kind.name ORDER BY deployment.id) AS until
    FROM public.ml_deployments AS deployment
    JOIN (VALUES
        ('install', 'version', 'champion'), ('promote', 'version', 'champion'), ('rollback', 'version', 'champion'),
        ('enable', 'enabled', 'champion'), ('disable', 'enabled', 'champion'),
        ('challenger', 'challenger', 'challenger'), ('canary', 'challenger', 'challenger'),
        ('challenger_stop', 'challenger', 'challenger'), ('withdraw', 'challenger', 'challenger')
    ) AS kind (action, name, scored_by) ON kind.action = deployment.action
) AS switch
LEFT JOIN LATERAL (
    SELECT prediction.id, prediction.predicted_at
    FROM public.ml_predictions AS prediction
    WHERE prediction.model_version = switch.version AND prediction.role = switch.scored_by
        AND prediction.source IN ('insert', 'update')
        AND prediction.predicted_at >= switch.occurred_at AND prediction.predicted_at < coalesce(switch.until, 'infinity')
    ORDER BY prediction.predicted_at
    LIMIT 1
) AS opening ON true
CROSS JOIN LATERAL (
    SELECT
        date_bin('1 hour', switch.occurred_at + interval '1 hour' - interval '1 microsecond', '2000-01-01 00:00+00') AS first,
        date_bin('1 hour', coalesce(switch.until, statement_timestamp()), '2000-01-01 00:00+00') AS until
) AS full_hours
-- An event is inserted once, however often it is scored later. Full hours are counted already, and outlive the log.
CROSS JOIN LATERAL (
    SELECT (
        SELECT count(*)
        FROM public.ml_predictions AS prediction
        WHERE prediction.model_version = switch.version AND prediction.role = switch.scored_by
            AND prediction.source = 'insert' AND prediction.predicted_at >= switch.occurred_at
            AND prediction.predicted_at < CASE
                WHEN full_hours.first < full_hours.until THEN full_hours.first ELSE coalesce(switch.until, 'infinity') END
    ) + (
        SELECT coalesce(sum(hour.predictions), 0)::bigint
        FROM ml.metrics_by_hour(full_hours.first, full_hours.until) AS hour
        WHERE hour.model_version = switch.version AND hour.role = switch.scored_by AND hour.source = 'insert'
    ) + (
        SELECT count(*)
        FROM public.ml_predictions AS prediction
        WHERE prediction.model_version = switch.version AND prediction.role = switch.scored_by
            AND prediction.source = 'insert' AND full_hours.first < full_hours.until
            AND prediction.predicted_at >= full_hours.until AND prediction.predicted_at < coalesce(switch.until, 'infinity')
    ) AS events
) AS following;
COMMENT ON VIEW public.ml_deployment_audit IS
    'Every switch that decides who scores, with who did it and why, the first prediction under it and how many events followed.';
