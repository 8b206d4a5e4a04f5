-- Undoes schema/pattern_events: drops the table if a migration created it, else only what one added to it.
-- Called by: the downgrade of revision 0001. Calls: nothing. Reads: ml.owned_objects. Writes: pattern_events.

DO $release$
DECLARE
    v_name text;
BEGIN
    IF EXISTS (SELECT FROM ml.owned_objects WHERE kind = 'table' AND name = 'pattern_events') THEN
        DROP TABLE public.pattern_events;
        RETURN;
    END IF;
    FOR v_name IN SELECT name FROM ml.owned_objects WHERE kind = 'index' LOOP
        EXECUTE format('DROP INDEX IF EXISTS public.%I', v_name);
    END LOOP;
    FOR v_name IN SELECT name FROM ml.owned_objects WHERE kind = 'column' LOOP
        EXECUTE format('ALTER TABLE public.pattern_events DROP COLUMN IF EXISTS %I', v_name);
    END LOOP;
END
$release$;
