-- Which relation stands in which relation to another: `child` inherits from, or is a partition of, `other`; or the
-- view `child` reads `other` (its own rule's dependencies; what the server pins, its own catalogs, has none).
SELECT 'inherits' AS link, i.inhrelid AS child, i.inhparent AS parent,
       n.nspname AS schema, p.relname AS name, i.inhseqno::int8 AS position
FROM pg_inherits i
JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_namespace n ON n.oid = p.relnamespace
WHERE i.inhrelid = ANY ($1)
UNION ALL
SELECT DISTINCT 'reads', r.ev_class, c.oid, n.nspname, c.relname, 0::int8
FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_class c ON c.oid = d.refobjid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.ev_class = ANY ($1) AND r.rulename = '_RETURN' AND d.refobjid <> r.ev_class
  AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY link, child, position, schema, name
