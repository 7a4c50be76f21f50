-- Foreign keys and checks. A key that references a partitioned table has further rows, one for each partition
-- referenced; those are the server's own bookkeeping, known by referencing another table than the constraint they
-- come from does. What a partition got from its parent stays, marked `inherited`. `to_jsonb` lets a column be absent
-- (`confdelsetcols` came with 15).
WITH RECURSIVE kept AS (
    SELECT oid, confrelid FROM pg_constraint WHERE contype IN ('f', 'c') AND conparentid = 0
    UNION ALL
    SELECT part.oid, part.confrelid
    FROM pg_constraint part JOIN kept ON part.conparentid = kept.oid AND part.confrelid = kept.confrelid
)
SELECT con.conrelid AS relation,
       con.conname AS name,
       con.contype = 'f' AS is_foreign_key,
       ARRAY(SELECT a.attname FROM unnest(con.conkey) WITH ORDINALITY AS k (number, position)
             JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.number
             ORDER BY k.position) AS columns,
       n.nspname AS referenced_schema,
       c.relname AS referenced_name,
       ARRAY(SELECT a.attname FROM unnest(con.confkey) WITH ORDINALITY AS k (number, position)
             JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.number
             ORDER BY k.position) AS referenced_columns,
       con.confupdtype::text AS on_update,
       con.confdeltype::text AS on_delete,
       ARRAY(SELECT a.attname
             FROM jsonb_array_elements_text(
                      CASE jsonb_typeof(to_jsonb(con) -> 'confdelsetcols')
                          WHEN 'array' THEN to_jsonb(con) -> 'confdelsetcols' ELSE '[]' END
                  ) WITH ORDINALITY AS k (number, position)
             JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.number::int2
             ORDER BY k.position) AS on_delete_columns,
       con.confmatchtype = 'f' AS match_full,
       con.condeferrable AS is_deferrable,
       con.condeferred AS is_deferred,
       con.convalidated AS validated,
       con.conparentid <> 0 AS inherited,
       pg_get_constraintdef(con.oid) AS definition
FROM pg_constraint con
JOIN kept ON kept.oid = con.oid
LEFT JOIN pg_class c ON c.oid = con.confrelid
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE con.conrelid = ANY ($1)
ORDER BY con.conrelid, con.conname
