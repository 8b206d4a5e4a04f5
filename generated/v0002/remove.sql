-- Undoes the installation of released model v0002: functions, calibrators, registry row.
-- Called by: the downgrade of its revision. Calls: nothing. Reads: ml_deployments.
-- Writes: the registry.

DELETE FROM public.ml_aliases WHERE version = 'v0002';
DELETE FROM public.ml_calibrators WHERE model_version = 'v0002';
DELETE FROM public.ml_models WHERE version = 'v0002';
-- The model that was live before is live again.
INSERT INTO public.ml_aliases (alias, version, calibrator_version)
SELECT 'champion', earlier.version, earlier.calibrator_version
FROM public.ml_deployments AS earlier
INNER JOIN public.ml_models AS model ON model.version = earlier.version
WHERE earlier.action IN ('install', 'promote', 'rollback') AND earlier.calibrator_version IS NOT NULL
ORDER BY earlier.id DESC
LIMIT 1
ON CONFLICT (alias) DO NOTHING;
DROP FUNCTION "ml_generated"."features_v0002"(ml.feature_vector);
DROP FUNCTION "ml_generated"."explain_v0002"(double precision[]);
DROP FUNCTION "ml_generated"."score_v0002_columns"(double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision, double precision);
DROP FUNCTION "ml_generated"."score_v0002"(double precision[]);
