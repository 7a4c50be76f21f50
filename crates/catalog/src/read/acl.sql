-- Every ACL that says something (an empty one is a row without an item), exploded by the server itself, item by item in
-- the order the catalog holds them. One that spells out the built-in defaults, as GRANT and REVOKE leave it, means what
-- NULL means, and pg_dump prints neither: it counts as NULL, or a plan would be stale after a rollback.
-- $1: the relations looked at.
WITH ours AS (
    SELECT oid FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'bastide')
), holder AS (
    SELECT 'relation' AS class, oid, 0 AS subid, relacl AS acl,
           acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner) AS builtin
    FROM pg_class WHERE oid = ANY ($1)
    UNION ALL
    SELECT 'column', attrelid, attnum, attacl, NULL FROM pg_attribute
    WHERE attrelid = ANY ($1) AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'schema', oid, 0, nspacl, acldefault('n', nspowner) FROM pg_namespace WHERE oid IN (SELECT oid FROM ours)
    UNION ALL
    SELECT 'function', oid, 0, proacl, acldefault('f', proowner) FROM pg_proc
    WHERE pronamespace IN (SELECT oid FROM ours)
    UNION ALL
    SELECT 'default', oid, 0, defaclacl, NULL FROM pg_default_acl
    UNION ALL
    SELECT 'database', oid, 0, datacl, acldefault('d', datdba) FROM pg_database
    WHERE datname = current_database()
)
SELECT holder.class,
       holder.oid,
       holder.subid::int4 AS subid,
       item.position,
       CASE WHEN privilege.grantee <> 0 THEN pg_get_userbyid(privilege.grantee) END AS grantee,
       pg_get_userbyid(privilege.grantor) AS grantor,
       privilege.privilege_type AS kind,
       privilege.is_grantable AS grantable
FROM holder
LEFT JOIN LATERAL unnest(holder.acl) WITH ORDINALITY AS item (item, position) ON true
LEFT JOIN LATERAL aclexplode(CASE WHEN item.item IS NOT NULL THEN ARRAY[item.item] END) WITH ORDINALITY
    AS privilege (grantor, grantee, privilege_type, is_grantable, position) ON true
WHERE holder.acl IS NOT NULL
  AND (holder.builtin IS NULL
       OR ARRAY(SELECT a::text FROM unnest(holder.acl) AS a ORDER BY 1)
          <> ARRAY(SELECT a::text FROM unnest(holder.builtin) AS a ORDER BY 1))
ORDER BY holder.class, holder.oid, holder.subid, item.position, privilege.position
