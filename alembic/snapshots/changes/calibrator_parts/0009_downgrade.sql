-- Takes the parts of calibrators out of ml_calibrators, and the columns that only they use.
-- Called by: the downgrade of revision 0009. Calls: nothing. Reads: nothing. Writes: ml_calibrators.

DELETE FROM public.ml_calibrators WHERE parent_version IS NOT NULL;
DROP INDEX public.ml_calibrators_part_idx;
ALTER TABLE public.ml_calibrators
DROP CONSTRAINT ml_calibrators_part_check,
DROP CONSTRAINT ml_calibrators_parent_version_fkey,
DROP CONSTRAINT ml_calibrators_model_key,
DROP COLUMN parent_version,
DROP COLUMN symbol,
DROP COLUMN timeframe;
