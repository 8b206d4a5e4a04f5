-- Undoes the installation of released model {version_text}: functions, calibrators, registry row.
-- Called by: the downgrade of its revision. Calls: nothing. Reads: ml_aliases. Writes: the registry.

DELETE FROM public.ml_aliases WHERE version = {version};
DELETE FROM public.ml_calibrators WHERE model_version = {version};
DELETE FROM public.ml_models WHERE version = {version};
{drops}
