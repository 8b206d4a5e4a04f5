-- Takes back what ml.grant_access has given; a role of ours goes when nobody is a member and no other database uses it.
DO $access$
DECLARE
    v_change record;
    v_role name;
BEGIN
    FOR v_change IN
        SELECT DISTINCT h.kind, h.identity, h.role FROM ml.held_rights AS h
        WHERE h.role IN ('ml_writer', 'ml_analyst', 'ml_ops', 'ml_dashboard')
        UNION ALL
        SELECT DISTINCT 'schema', 'public', r.rolname FROM pg_catalog.pg_namespace AS n
        CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS e
        INNER JOIN pg_catalog.pg_roles AS r ON r.oid = e.grantee
        WHERE n.nspname = 'public' AND r.rolname IN ('ml_writer', 'ml_analyst', 'ml_ops', 'ml_dashboard')
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM %I CASCADE', v_change.kind, v_change.identity, v_change.role);
    END LOOP;
    FOR v_role IN
        SELECT r.rolname FROM pg_catalog.pg_roles AS r
        WHERE r.rolname IN ('ml_writer', 'ml_analyst', 'ml_ops', 'ml_dashboard')
    LOOP
        IF v_role IN ('ml_analyst', 'ml_ops') THEN
            EXECUTE pg_catalog.format(
                'ALTER DEFAULT PRIVILEGES IN SCHEMA ml_generated REVOKE EXECUTE ON FUNCTIONS FROM %I', v_role);
        END IF;
        -- DROP ROLE would end memberships without a word.
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_catalog.pg_auth_members AS m
            WHERE m.roleid = v_role::pg_catalog.regrole AND m.member <> current_user::pg_catalog.regrole
        ) OR EXISTS (
            SELECT FROM pg_catalog.pg_auth_members AS m WHERE m.member = v_role::pg_catalog.regrole
        ) OR coalesce(pg_catalog.shobj_description(v_role::pg_catalog.regrole, 'pg_authid'), '')
            NOT LIKE 'pattern-confidence: %';
        BEGIN
            EXECUTE pg_catalog.format('DROP ROLE %I', v_role);
        EXCEPTION WHEN OTHERS THEN
            -- Another database of this server uses it, or it may not be dropped by this role.
            RAISE NOTICE 'role % stays: %', v_role, SQLERRM;
        END;
    END LOOP;
END
$access$;
