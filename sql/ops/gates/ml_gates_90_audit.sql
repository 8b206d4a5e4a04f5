-- Audits every change of a gate.
-- Called by: INSERT, UPDATE OR DELETE of ml_gates. Calls: ml.audit_gates. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_gates_90_audit
AFTER INSERT OR UPDATE OR DELETE ON public.ml_gates
FOR EACH ROW EXECUTE FUNCTION ml.audit_gates();
COMMENT ON TRIGGER ml_gates_90_audit ON public.ml_gates IS 'Audits every change of a gate.';
