-- A label definition is immutable.
-- Called by: UPDATE of ml_label_definitions. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_label_definitions_10_refuse_change
BEFORE UPDATE ON public.ml_label_definitions
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER ml_label_definitions_10_refuse_change ON public.ml_label_definitions IS
    'A label definition is immutable.';
