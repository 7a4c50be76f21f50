//! What was changed of the server's own functions and catalogs: asked by planning before a run and by verification after it,
//! in the same words.

/// What initdb or CREATE EXTENSION withheld is in pg_init_privs; an ACL that differs since has more. The server's own
/// predefined roles are looked at by themselves, so only what the other roles were given counts.
///
/// Last come the views of extended statistics where initdb, of before 15.7 or 16.3, made them for everybody's eyes
/// (CVE-2024-4317): [`shows_statistics`]. No update of the server mends a view; what it asks is in its tree. They say nothing
/// where there are no statistics on expressions of a table that is not wholly the asker's.
pub const WITHHELD: &str = "
    WITH app AS (SELECT oid FROM pg_roles WHERE rolname = ANY($1) AND rolname !~ '^pg_' UNION ALL SELECT 0),
    given AS (
        SELECT 'pg_proc'::regclass AS class, p.oid, 0 AS part, a.privilege_type AS privilege
        FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND a.grantee IN (SELECT oid FROM app)
        UNION ALL
        SELECT 'pg_class'::regclass, c.oid, 0, a.privilege_type
        FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
        WHERE c.relnamespace = 'pg_catalog'::regnamespace AND a.grantee IN (SELECT oid FROM app)
        UNION ALL
        SELECT 'pg_class'::regclass, c.oid, t.attnum, a.privilege_type
        FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN LATERAL aclexplode(t.attacl) a
        WHERE c.relnamespace = 'pg_catalog'::regnamespace AND a.grantee IN (SELECT oid FROM app)
    )
    SELECT CASE WHEN g.class = 'pg_proc'::regclass
                THEN (SELECT format('pg_catalog.%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid))
                      FROM pg_proc p WHERE p.oid = g.oid)
                ELSE (SELECT format('pg_catalog.%I', c.relname) FROM pg_class c WHERE c.oid = g.oid) END,
           g.class = 'pg_proc'::regclass,
           string_agg(DISTINCT g.privilege, ', ' ORDER BY g.privilege)
    FROM given g
    WHERE EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = g.class AND i.objoid = g.oid)
      AND NOT EXISTS (
        SELECT FROM pg_init_privs i CROSS JOIN LATERAL aclexplode(i.initprivs) a
        WHERE i.classoid = g.class AND i.objoid = g.oid AND i.objsubid = g.part
          AND a.grantee = 0 AND a.privilege_type = g.privilege)
    GROUP BY g.class, g.oid
    UNION ALL
    SELECT format('pg_catalog.%I', v.relname), false, 'SELECT'
    FROM pg_class v JOIN pg_rewrite w ON w.ev_class = v.oid
    WHERE v.oid IN ('pg_catalog.pg_stats_ext'::regclass, 'pg_catalog.pg_stats_ext_exprs'::regclass)
      AND position(format(':funcid %s ', 'pg_has_role(oid,text)'::regprocedure::oid) IN w.ev_action::text) = 0
      AND EXISTS (SELECT FROM given g
                  WHERE g.class = 'pg_class'::regclass AND g.oid = v.oid AND g.privilege = 'SELECT')
      AND EXISTS (
        SELECT FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid
        WHERE s.stxexprs IS NOT NULL AND CASE
            WHEN c.relrowsecurity
            THEN position(format(':funcid %s ', 'row_security_active(oid)'::regprocedure::oid) IN w.ev_action::text) = 0
            ELSE NOT EXISTS (SELECT FROM aclexplode(c.relacl) a
                             WHERE a.grantee IN (SELECT oid FROM app) AND a.privilege_type = 'SELECT') END)
    ORDER BY 1 LIMIT 50";

/// Whether an object of [`WITHHELD`]'s is a view that the server gives to everybody, and ought to show less.
#[must_use]
pub fn shows_statistics(object: &str) -> bool {
    object.starts_with("pg_catalog.pg_stats_ext")
}

/// Parameters that only superusers may set, under which keys, privileges or the code that runs are no longer what they were.
pub const DECISIVE_PARAMETERS: [&str; 8] = [
    "session_replication_role",
    "allow_system_table_mods",
    "dynamic_library_path",
    "extension_control_path",
    "ignore_checksum_failure",
    "lo_compat_privileges",
    "session_preload_libraries",
    "zero_damaged_pages",
];

/// Those that no version from 15 to 18 calls leakproof, and that people do, to get an index under row security.
pub const LEAKPROOF_BUILTINS: &str = "
    SELECT format('pg_catalog.%I(%s)', proname, pg_get_function_identity_arguments(oid))
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proleakproof AND prokind = 'f' AND proname = ANY(ARRAY[
        'textlike', 'textnlike', 'texticlike', 'texticnlike', 'bpcharlike', 'bpcharnlike', 'bpchariclike', 'namelike',
        'textregexeq', 'textregexne', 'texticregexeq', 'texticregexne', 'lower', 'upper', 'substring',
        'numeric_eq', 'numeric_ne', 'numeric_lt', 'numeric_le', 'numeric_gt', 'numeric_ge', 'numeric_cmp',
        'jsonb_contains', 'jsonb_contained', 'jsonb_exists', 'jsonb_object_field_text', 'jsonb_path_exists_opr',
        'jsonb_path_match_opr', 'arraycontains', 'arraycontained', 'arrayoverlap', 'array_eq', 'enum_eq', 'enum_ne',
        'range_contains', 'range_contains_elem', 'range_overlaps', 'ts_match_vq', 'ts_match_qv', 'ts_match_tt',
        'to_tsvector', 'to_tsquery', 'plainto_tsquery', 'websearch_to_tsquery', 'int4div', 'int8div', 'text_int4'])
    ORDER BY 1";
