-- Removes every model that is still installed: its functions are written against the features.
-- Called by: the downgrade of revision 0002. Calls: nothing. Reads: pg_catalog. Writes: the registry.

DELETE FROM public.ml_aliases;
DELETE FROM public.ml_calibrators;
DELETE FROM public.ml_models;
DO $remove$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'ml_generated'::regnamespace
    LOOP
        EXECUTE format('DROP FUNCTION %s', v_function);
    END LOOP;
END
$remove$;
