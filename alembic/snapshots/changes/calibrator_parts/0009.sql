-- Adds to ml_calibrators what a calibrator of one timeframe or symbol needs.
-- Called by: the upgrade of revision 0009. Calls: nothing. Reads: nothing. Writes: nothing.

ALTER TABLE public.ml_calibrators
ADD COLUMN parent_version text,
ADD COLUMN symbol text,
ADD COLUMN timeframe text,
ADD CONSTRAINT ml_calibrators_model_key UNIQUE (calibrator_version, model_version),
ADD CONSTRAINT ml_calibrators_parent_version_fkey FOREIGN KEY (parent_version, model_version)
REFERENCES public.ml_calibrators (calibrator_version, model_version),
ADD CONSTRAINT ml_calibrators_part_check CHECK (
    (parent_version IS NULL) = (timeframe IS NULL)
    AND (symbol IS NULL OR timeframe IS NOT NULL)
    AND parent_version IS DISTINCT FROM calibrator_version
);
COMMENT ON COLUMN public.ml_calibrators.parent_version IS
    'The calibrator that this one is a part of, for one timeframe and perhaps one symbol; NULL: a whole calibrator.';
COMMENT ON COLUMN public.ml_calibrators.symbol IS 'NULL in a part: every symbol of the timeframe without a part of its own.';

CREATE UNIQUE INDEX ml_calibrators_part_idx
ON public.ml_calibrators (parent_version, timeframe, symbol) NULLS NOT DISTINCT WHERE parent_version IS NOT NULL;
