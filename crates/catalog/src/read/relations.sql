-- The relations looked at: outside the system's schemas (temporary ones are among those) and `bastide`, and members of
-- no extension. `owned_by` is the column a sequence feeds, by OWNED BY or as its identity.
SELECT c.oid,
       n.nspname AS schema,
       c.relname AS name,
       CASE WHEN c.relkind = 'r' AND c.relispartition THEN 'partition' ELSE c.relkind::text END AS kind,
       pg_get_userbyid(c.relowner) AS owner,
       c.relpersistence::text AS persistence,
       c.relrowsecurity AS row_security,
       c.relforcerowsecurity AS force_row_security,
       CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS of_type,
       ARRAY(SELECT a.attname
             FROM pg_partitioned_table p
             CROSS JOIN LATERAL unnest(p.partattrs) WITH ORDINALITY AS k (number, position)
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number AND k.number <> 0
             WHERE p.partrelid = c.oid
             ORDER BY k.position) AS partition_columns,
       c.reltuples::int8 AS estimated_rows,
       CASE WHEN c.relkind NOT IN ('r', 'm') THEN 0
            -- The size function would wait for such a lock; what was there when the table was last looked at will do.
            WHEN c.oid IN (SELECT l.relation FROM pg_locks AS l WHERE l.locktype = 'relation' AND l.granted
                             AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid())
            THEN c.relpages::bigint * current_setting('block_size')::bigint
            ELSE coalesce(pg_total_relation_size(c.oid), 0) END AS bytes,
       coalesce(c.reloptions, '{}') AS options,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition,
       owned.schema AS owned_by_schema,
       owned.name AS owned_by_name,
       owned.attname AS owned_by_column
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT tn.nspname AS schema, t.relname AS name, a.attname
    FROM pg_depend d
    JOIN pg_class t ON t.oid = d.refobjid
    JOIN pg_namespace tn ON tn.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
      AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
) owned ON true
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bastide')
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
