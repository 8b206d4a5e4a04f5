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
        lead(deployment.occurred_at) OVER (ORDER BY deployment.id) AS until
    FROM public.ml_deployments AS deployment
    WHERE deployment.action IN ('install', 'promote', 'rollback', 'enable', 'disable')
) AS switch
LEFT JOIN LATERAL (
    SELECT prediction.id, prediction.predicted_at
    FROM public.ml_predictions AS prediction
    WHERE prediction.model_version = switch.version AND prediction.role = 'champion'
        AND prediction.source IN ('insert', 'update')
        AND prediction.predicted_at >= switch.occurred_at AND prediction.predicted_at < coalesce(switch.until, 'infinity')
    ORDER BY prediction.predicted_at
    LIMIT 1
) AS opening ON true
-- An event is inserted once, however often it is scored later.
CROSS JOIN LATERAL (
    SELECT count(*) AS events
    FROM public.ml_predictions AS prediction
    WHERE prediction.model_version = switch.version AND prediction.role = 'champion' AND prediction.source = 'insert'
        AND prediction.predicted_at >= switch.occurred_at AND prediction.predicted_at < coalesce(switch.until, 'infinity')
) AS following;
COMMENT ON VIEW public.ml_deployment_audit IS
    'Every switch that decides who scores, with who did it and why, the first prediction under it and how many events followed.';
