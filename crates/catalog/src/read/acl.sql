-- Every ACL that is not NULL (an empty one is a row without an item), exploded by the server itself, item by item in
-- the order the catalog holds them. $1: the relations looked at.
WITH ours AS (
    SELECT oid FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'bastide')
), holder AS (
    SELECT 'relation' AS class, oid, 0 AS subid, relacl AS acl FROM pg_class WHERE oid = ANY ($1)
    UNION ALL
    SELECT 'column', attrelid, attnum, attacl FROM pg_attribute
    WHERE attrelid = ANY ($1) AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'schema', oid, 0, nspacl FROM pg_namespace WHERE oid IN (SELECT oid FROM ours)
    UNION ALL
    SELECT 'function', oid, 0, proacl FROM pg_proc WHERE pronamespace IN (SELECT oid FROM ours)
    UNION ALL
    SELECT 'default', oid, 0, defaclacl FROM pg_default_acl
    UNION ALL
    SELECT 'database', oid, 0, datacl FROM pg_database WHERE datname = current_database()
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
ORDER BY holder.class, holder.oid, holder.subid, item.position, privilege.position
