-- An override is never changed: a newer one takes its place.
-- Called by: UPDATE of confidence_overrides. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER confidence_overrides_10_refuse_change
BEFORE UPDATE ON public.confidence_overrides
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER confidence_overrides_10_refuse_change ON public.confidence_overrides IS
    'An override is never changed: a newer one takes its place.';
