-- Whether a row that arrives with a scoring record may keep it: restored by the table's owner, or backfilled.
-- Called by: ml.score_pattern_event. Calls: nothing. Reads: ml.trusted_transactions, pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.brings_own_score(p_is_update boolean)
RETURNS boolean
LANGUAGE sql
STABLE
AS $function$
    SELECT CASE
        WHEN p_is_update THEN EXISTS (
            SELECT FROM ml.trusted_transactions AS trusted
            WHERE trusted.transaction_id = pg_catalog.pg_current_xact_id_if_assigned()
        )
        ELSE (
            -- The role that acts, not the owner of this function.
            SELECT pg_catalog.pg_has_role(
                coalesce(nullif(pg_catalog.current_setting('role'), 'none')::pg_catalog.name, session_user),
                events.relowner, 'MEMBER')
            FROM pg_catalog.pg_class AS events WHERE events.oid = 'public.pattern_events'::pg_catalog.regclass
        )
    END
$function$;
COMMENT ON FUNCTION ml.brings_own_score IS
    'Whether a row that arrives with a scoring record may keep it: restored by the table''s owner, or backfilled.';
REVOKE ALL ON FUNCTION ml.brings_own_score FROM PUBLIC;
