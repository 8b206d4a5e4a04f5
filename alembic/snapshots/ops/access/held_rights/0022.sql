-- Who holds which right on the schemas, tables, sequences and functions of the product, one row per right.
-- Called by: ml.grant_access, people. Calls: nothing. Reads: ml.governed_objects, pg_catalog. Writes: nothing.

CREATE VIEW ml.held_rights AS
SELECT
    holder.rolname::pg_catalog.text AS role,
    governed.kind,
    governed.object,
    governed.identity,
    held.privilege_type AS privilege,
    entry.attribute
FROM ml.governed_objects AS governed
CROSS JOIN LATERAL (
    SELECT NULL::pg_catalog.text AS attribute, governed.rights
    UNION ALL
    SELECT attribute.attname::pg_catalog.text, attribute.attacl
    FROM pg_catalog.pg_attribute AS attribute
    WHERE governed.kind = 'table' AND attribute.attrelid = governed.object
        AND NOT attribute.attisdropped AND attribute.attacl IS NOT NULL
) AS entry
CROSS JOIN LATERAL pg_catalog.aclexplode(entry.rights) AS held
INNER JOIN pg_catalog.pg_roles AS holder ON holder.oid = held.grantee;
COMMENT ON VIEW ml.held_rights IS
    'Who holds which right on the schemas, tables, sequences and functions of the product, one row per right.';
COMMENT ON COLUMN ml.held_rights.attribute IS 'The column of a right on one column, null for a right on the whole object.';
