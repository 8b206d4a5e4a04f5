-- Undoes the installation of released model v0001: functions, calibrators, registry row.
-- Called by: the downgrade of its revision. Calls: nothing. Reads: ml_aliases. Writes: the registry.

DELETE FROM public.ml_aliases WHERE version = 'v0001';
DELETE FROM public.ml_calibrators WHERE model_version = 'v0001';
DELETE FROM public.ml_models WHERE version = 'v0001';
DROP FUNCTION "ml_generated"."score_v0001"(double precision[]);
DROP FUNCTION "ml_generated"."features_v0001"(ml.feature_vector);
