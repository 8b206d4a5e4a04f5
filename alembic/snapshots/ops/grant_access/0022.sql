-- Makes the roles that are missing and gives each exactly its rights, on what there is now; any number of times.
-- Called by: sql/ops/access/access.sql, the owner of the schema. Calls: ml.role_rights.
-- Reads: ml.governed_objects, ml.held_rights, pg_catalog. Writes: roles and rights.

-- ml_writer, ml_analyst, ml_ops and ml_dashboard belong to the whole server and cannot log in: people and services become
-- members, CREATE ROLE grafana LOGIN IN ROLE ml_dashboard. A right that such a role has beyond ml.role_rights is taken
-- back: give more to a role of your own. On Supabase the roles anon, authenticated and service_role get every right on
-- every new table of schema public by default; exactly those defaults are taken back, a narrower grant stays. Open what
-- an application needs by membership: GRANT ml_dashboard TO authenticated.
CREATE OR REPLACE FUNCTION ml.grant_access()
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_roles CONSTANT text[] := '{ml_writer,ml_analyst,ml_ops,ml_dashboard}'::text[];
    v_purposes text[] := ARRAY[
        'inserts bars and patterns', 'labels patterns and reads everything', 'operates and reads everything',
        'reads panels, log and audit'
    ];
    v_owner name;
    v_created text[] := '{}'::text[];
    v_missing text[] := '{}'::text[];
    v_closed text[] := '{}'::text[];
    v_revoked integer := 0;
    v_granted integer := 0;
    v_change record;
BEGIN
    SELECT n.nspowner::regrole::text INTO v_owner
    FROM pg_namespace AS n WHERE n.nspname = 'ml' AND NOT pg_has_role(n.nspowner, 'USAGE');
    IF FOUND THEN
        RAISE EXCEPTION 'rights are given by the owner of schema ml: run ml.grant_access() as %', v_owner
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('ml.grant_access', 0));

    FOR v_place IN 1..cardinality(c_roles) LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = c_roles[v_place]);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', c_roles[v_place]);
            -- A downgrade drops a role with this comment, if nobody uses it.
            EXECUTE format(
                'COMMENT ON ROLE %I IS %L', c_roles[v_place], 'pattern-confidence: ' || v_purposes[v_place]);
            v_created := v_created || c_roles[v_place];
        EXCEPTION
            -- Another database of this server was migrated at the same moment.
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                v_missing := v_missing || c_roles[v_place];
        END;
    END LOOP;

    -- Rights by default, which nobody has chosen.
    FOR v_change IN
        SELECT g.kind, g.identity, held.role
        FROM (
            SELECT h.object, h.role, array_agg(DISTINCT h.privilege ORDER BY h.privilege) AS privileges
            FROM ml.held_rights AS h
            WHERE h.role IN ('anon', 'authenticated', 'service_role') AND h.attribute IS NULL
            GROUP BY h.object, h.role
        ) AS held
        INNER JOIN ml.governed_objects AS g ON g.object = held.object AND NOT g.is_adopted
        CROSS JOIN LATERAL (
            SELECT array_agg(DISTINCT e.privilege_type ORDER BY e.privilege_type) AS privileges
            FROM pg_default_acl AS d
            LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
            CROSS JOIN LATERAL aclexplode(d.defaclacl) AS e
            INNER JOIN pg_roles AS r ON r.oid = e.grantee AND r.rolname = held.role
            WHERE d.defaclrole = g.owner AND (d.defaclnamespace = 0 OR n.nspname = g.schema)
                AND d.defaclobjtype = CASE g.kind
                    WHEN 'table' THEN 'r' WHEN 'sequence' THEN 'S' WHEN 'function' THEN 'f' ELSE 'n' END::"char"
        ) AS by_default
        WHERE held.privileges = by_default.privileges
        ORDER BY g.kind, g.identity, held.role
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %I', v_change.kind, v_change.identity, v_change.role);
        v_closed := v_closed || format('%s of %s', v_change.identity, v_change.role);
    END LOOP;

    -- A REVOKE on a table takes the same right on its columns along, so all of them precede the first GRANT.
    FOR v_change IN
        SELECT
            h.kind, h.identity, h.role,
            string_agg(h.privilege || coalesce(' (' || quote_ident(h.attribute) || ')', ''), ', ') AS privileges
        FROM ml.held_rights AS h
        WHERE h.role = ANY (c_roles) AND NOT EXISTS (
            SELECT FROM ml.role_rights() AS w
            WHERE w.role = h.role AND w.kind = h.kind AND w.object = h.object AND w.privilege = h.privilege
                AND w.attribute IS NOT DISTINCT FROM h.attribute
        )
        GROUP BY h.kind, h.identity, h.role
        ORDER BY h.kind, h.identity, h.role
    LOOP
        EXECUTE format('REVOKE %s ON %s %s FROM %I CASCADE',
            v_change.privileges, v_change.kind, v_change.identity, v_change.role);
        v_revoked := v_revoked + 1;
    END LOOP;
    FOR v_change IN
        SELECT
            missing.kind, missing.identity, missing.privileges,
            string_agg(format('%I', missing.role), ', ' ORDER BY missing.role) AS roles
        FROM (
            SELECT
                w.kind, w.identity, w.role, string_agg(
                    w.privilege || coalesce(' (' || quote_ident(w.attribute) || ')', ''), ', ' ORDER BY w.privilege, w.attribute
                ) AS privileges
            FROM (
                SELECT w.role, w.kind, w.object, w.identity, w.privilege, w.attribute FROM ml.role_rights() AS w
                INNER JOIN pg_roles AS r ON r.rolname = w.role
                EXCEPT
                SELECT h.role, h.kind, h.object, h.identity, h.privilege, h.attribute FROM ml.held_rights AS h
            ) AS w
            GROUP BY w.kind, w.identity, w.role
        ) AS missing
        GROUP BY missing.kind, missing.identity, missing.privileges
        ORDER BY missing.kind, missing.identity, missing.privileges
    LOOP
        EXECUTE format('GRANT %s ON %s %s TO %s',
            v_change.privileges, v_change.kind, v_change.identity, v_change.roles);
        v_granted := v_granted + 1;
    END LOOP;

    -- A server whose schema public is closed to everybody.
    FOR v_change IN
        SELECT r.rolname AS role FROM pg_roles AS r
        WHERE r.rolname = ANY (c_roles) AND NOT has_schema_privilege(r.oid, 'public', 'USAGE')
        ORDER BY 1
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', v_change.role);
        v_granted := v_granted + 1;
    END LOOP;
    -- Models that are deployed later.
    FOR v_change IN
        SELECT r.rolname AS role FROM pg_roles AS r WHERE r.rolname IN ('ml_analyst', 'ml_ops') ORDER BY 1
    LOOP
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA ml_generated GRANT EXECUTE ON FUNCTIONS TO %I', v_change.role);
    END LOOP;

    IF v_missing <> '{}' THEN
        RAISE NOTICE 'role % may not create roles, so nobody got rights as %: let one that may create them run %; then call ml.grant_access()',
            quote_ident(current_user), array_to_string(v_missing, ', '),
            (SELECT string_agg(format('CREATE ROLE %I NOLOGIN', m.role), '; ') FROM unnest(v_missing) AS m (role));
    END IF;
    IF v_closed <> '{}' THEN
        RAISE NOTICE 'rights that every new object of schema public gets by default were taken back (% in all): give what an application needs by membership, for example GRANT ml_dashboard TO authenticated',
            cardinality(v_closed);
    END IF;
    RETURN jsonb_build_object(
        'created', v_created, 'missing', v_missing, 'granted', v_granted, 'revoked', v_revoked, 'closed', v_closed);
END
$function$;
COMMENT ON FUNCTION ml.grant_access IS
    'Makes the roles that are missing and gives each exactly its rights, on what there is now; any number of times.';
REVOKE ALL ON FUNCTION ml.grant_access FROM PUBLIC;
