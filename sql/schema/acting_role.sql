-- Who acts: the role that the session has taken on by SET ROLE, as gateways do for each request, else the one that logged in.
-- Called by: defaults of the history, of gates, labels and overrides. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.acting_role()
RETURNS text
LANGUAGE sql
STABLE
RETURN coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user);
COMMENT ON FUNCTION ml.acting_role IS
    'Who acts: the role that the session has taken on by SET ROLE, as gateways do for each request, else the one that logged in.';
