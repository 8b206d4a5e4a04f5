-- The newest entry of the history that decides whether the challenger scores; none before the first one.
-- Called by: ml.scoring_context, ml.check_challenger, ml_health. Calls: nothing. Reads: ml_deployments. Writes: nothing.

-- The same actions as in the condition of ml_deployments_challenger_idx, which finds it at once.
CREATE VIEW ml.challenger_switch AS
SELECT switch.*
FROM public.ml_deployments AS switch
WHERE switch.action IN ('challenger', 'challenger_stop')
ORDER BY switch.id DESC
LIMIT 1;
COMMENT ON VIEW ml.challenger_switch IS
    'The newest entry of the history that decides whether the challenger scores; none before the first one.';
