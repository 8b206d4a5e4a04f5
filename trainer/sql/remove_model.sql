-- Undoes the installation of released model {version_text}: functions, calibrators, registry row.
-- Called by: the downgrade of its revision. Calls: nothing. Reads: ml_deployments.
-- Writes: the registry.

DELETE FROM public.ml_aliases WHERE version = {version};
DELETE FROM public.ml_calibrators WHERE model_version = {version};
DELETE FROM public.ml_models WHERE version = {version};
-- The model that was live before is live again.
INSERT INTO public.ml_aliases (alias, version, calibrator_version)
SELECT 'champion', earlier.version, earlier.calibrator_version
FROM public.ml_deployments AS earlier
INNER JOIN public.ml_models AS model ON model.version = earlier.version
WHERE earlier.action IN ('install', 'promote', 'rollback') AND earlier.calibrator_version IS NOT NULL
ORDER BY earlier.id DESC
LIMIT 1
ON CONFLICT (alias) DO NOTHING;
{drops}
