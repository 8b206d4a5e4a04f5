-- Every switch that decides who scores, with who did it and why, the first prediction under it and how many events followed.
-- Called by: people and applications. Calls: nothing. Reads: ml_deployments, ml_predictions. Writes: nothing.

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
-- An event is inserted once, however often it is scored later.
CROSS JOIN LATERAL (
    SELECT count(*) AS events
    FROM public.ml_predictions AS prediction
    WHERE prediction.model_version = switch.version AND prediction.role = switch.scored_by
        AND prediction.source = 'insert'
        AND prediction.predicted_at >= switch.occurred_at AND prediction.predicted_at < coalesce(switch.until, 'infinity')
) AS following;
COMMENT ON VIEW public.ml_deployment_audit IS
    'Every switch that decides who scores, with who did it and why, the first prediction under it and how many events followed.';
