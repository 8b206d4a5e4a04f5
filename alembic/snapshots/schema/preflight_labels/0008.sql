-- Says, before labels are installed, which of their names are taken by objects that the migrations did not make.
-- Called by: nothing. Calls: nothing. Reads: pg_catalog. Writes: nothing.

DO $preflight$
DECLARE
    v_taken text;
BEGIN
    SELECT string_agg(format('table or view %I.%I', n.nspname, c.relname), ', ' ORDER BY c.relname) INTO v_taken
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public'
        AND c.relname IN ('ml_label_definitions', 'pattern_labels', 'confidence_overrides', 'overridden_patterns');
    IF v_taken IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('%s exist already and were not made by these migrations: rename or move them first', v_taken);
    END IF;
END
$preflight$;
