-- Indexes with the constraint each one serves, if any. `plain` is what a foreign key or an upsert can rely on: valid, on
-- columns only, not partial, and a btree (a temporal key of PostgreSQL 18 is unique only within its periods).
SELECT i.indrelid AS relation,
       ic.relname AS name,
       con.contype::text AS constraint_type,
       coalesce(con.condeferrable, false) AS is_deferrable,
       i.indisunique AS is_unique,
       i.indisvalid AS is_valid,
       i.indpred IS NOT NULL AS is_partial,
       i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND am.amname = 'btree' AS plain,
       ARRAY(SELECT a.attname
             FROM unnest(i.indkey) WITH ORDINALITY AS k (number, position)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number <> 0
             WHERE k.position <= i.indnkeyatts
             ORDER BY k.position) AS columns,
       pg_get_indexdef(i.indexrelid) AS index_definition,
       CASE WHEN con.oid IS NOT NULL THEN pg_get_constraintdef(con.oid) END AS constraint_definition
FROM pg_index i
JOIN pg_class ic ON ic.oid = i.indexrelid
JOIN pg_am am ON am.oid = ic.relam
LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x')
WHERE i.indrelid = ANY ($1)
ORDER BY i.indrelid, con.contype IS DISTINCT FROM 'p', ic.relname
