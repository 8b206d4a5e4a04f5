-- The newest entry of the history that decides whether the circuit breaker is open; none before the first one.
-- Called by: ml.scoring_context, ml.check_breaker, ml_health. Calls: nothing. Reads: ml_deployments. Writes: nothing.

-- The same actions as in the condition of ml_deployments_breaker_idx, which finds it at once.
CREATE VIEW ml.breaker_switch AS
SELECT switch.*
FROM public.ml_deployments AS switch
WHERE switch.action IN ('breaker_open', 'breaker_close', 'promote', 'rollback')
ORDER BY switch.id DESC
LIMIT 1;
COMMENT ON VIEW ml.breaker_switch IS
    'The newest entry of the history that decides whether the circuit breaker is open; none before the first one.';
