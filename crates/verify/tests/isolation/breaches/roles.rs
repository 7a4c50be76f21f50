//! What the application's role is, may become, or may do to the server.

use super::{Breach, breach, role};

pub(super) const BREACHES: &[Breach] = &[
    role(
        "BYPASSRLS",
        "BST-010",
        true,
        "ALTER ROLE bastide_app BYPASSRLS",
        "ALTER ROLE bastide_app NOBYPASSRLS",
    ),
    role(
        "SUPERUSER",
        "BST-010",
        true,
        "ALTER ROLE bastide_app SUPERUSER",
        "ALTER ROLE bastide_app NOSUPERUSER",
    ),
    role(
        "CREATEROLE",
        "BST-010",
        false,
        "ALTER ROLE bastide_app CREATEROLE",
        "ALTER ROLE bastide_app NOCREATEROLE",
    ),
    role(
        "REPLICATION",
        "BST-010",
        false,
        "ALTER ROLE bastide_app REPLICATION",
        "ALTER ROLE bastide_app NOREPLICATION",
    ),
    role(
        "member of a role that bypasses",
        "BST-010",
        false,
        "ALTER ROLE staff BYPASSRLS; GRANT staff TO legacy; GRANT legacy TO bastide_app",
        "REVOKE legacy FROM bastide_app; REVOKE staff FROM legacy; ALTER ROLE staff NOBYPASSRLS",
    ),
    role(
        "pg_read_all_data",
        "BST-011",
        true,
        "GRANT pg_read_all_data TO bastide_app",
        "REVOKE pg_read_all_data FROM bastide_app",
    ),
    role(
        "pg_execute_server_program",
        "BST-011",
        false,
        "GRANT pg_execute_server_program TO bastide_app",
        "REVOKE pg_execute_server_program FROM bastide_app",
    ),
    role(
        "owns a table",
        "BST-012",
        true,
        "CREATE TABLE mine (id int); ALTER TABLE mine OWNER TO bastide_app",
        "",
    ),
    role("member of the owner", "BST-013", true, "GRANT shop TO bastide_app", "REVOKE shop FROM bastide_app"),
    breach("CREATE granted", "BST-014", "public", false, "GRANT CREATE ON SCHEMA public TO bastide_app"),
    role(
        "may switch triggers off",
        "BST-015",
        false,
        "GRANT SET ON PARAMETER session_replication_role TO bastide_app",
        "REVOKE SET ON PARAMETER session_replication_role FROM bastide_app",
    ),
    role(
        "member without INHERIT of a role that bypasses",
        "BST-010",
        false,
        "ALTER ROLE staff BYPASSRLS; ALTER ROLE bastide_app NOINHERIT; GRANT staff TO bastide_app",
        "REVOKE staff FROM bastide_app; ALTER ROLE staff NOBYPASSRLS; ALTER ROLE bastide_app INHERIT",
    ),
    role(
        "CREATEDB",
        "BST-010",
        false,
        "ALTER ROLE bastide_app CREATEDB",
        "ALTER ROLE bastide_app NOCREATEDB",
    ),
    role(
        "pg_write_all_data",
        "BST-011",
        false,
        "GRANT pg_write_all_data TO bastide_app",
        "REVOKE pg_write_all_data FROM bastide_app",
    ),
    role(
        "pg_read_server_files through a group",
        "BST-011",
        false,
        "GRANT pg_read_server_files TO staff; GRANT staff TO bastide_app",
        "REVOKE pg_read_server_files FROM staff; REVOKE staff FROM bastide_app",
    ),
    role(
        "pg_write_server_files",
        "BST-011",
        false,
        "GRANT pg_write_server_files TO bastide_app",
        "REVOKE pg_write_server_files FROM bastide_app",
    ),
    role(
        "pg_monitor",
        "BST-011",
        false,
        "GRANT pg_monitor TO bastide_app",
        "REVOKE pg_monitor FROM bastide_app",
    ),
    role(
        "pg_signal_backend",
        "BST-011",
        false,
        "GRANT pg_signal_backend TO bastide_app",
        "REVOKE pg_signal_backend FROM bastide_app",
    ),
    breach("pg_maintain", "BST-011", "bastide_app", false, "GRANT pg_maintain TO bastide_app")
        .undone_by("REVOKE pg_maintain FROM bastide_app")
        .since(17),
    role("owns a function", "BST-012", false, "ALTER FUNCTION whoami() OWNER TO bastide_app", ""),
    role("owns a schema", "BST-012", false, "CREATE SCHEMA mine AUTHORIZATION bastide_app", ""),
    role(
        "owns the database",
        "BST-012",
        false,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO bastide_app', current_database()); END $$",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO postgres', current_database()); END $$",
    ),
    role(
        "owns a large object",
        "BST-012",
        false,
        "SELECT lo_create(4711); ALTER LARGE OBJECT 4711 OWNER TO bastide_app",
        "",
    ),
    role(
        "member of the owner through a group",
        "BST-013",
        true,
        "GRANT shop TO staff; GRANT staff TO bastide_app",
        "REVOKE shop FROM staff; REVOKE staff FROM bastide_app",
    ),
    role(
        "member of Bastide's own role",
        "BST-013",
        false,
        "GRANT bastide_owner TO bastide_app",
        "REVOKE bastide_owner FROM bastide_app",
    ),
    breach(
        "CREATE on the database",
        "BST-014",
        "{database}",
        false,
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO bastide_app', current_database());
             END $$",
    ),
    breach(
        "CREATE on schema bastide",
        "BST-014",
        "bastide",
        false,
        "GRANT CREATE ON SCHEMA bastide TO bastide_app",
    ),
    breach(
        "CREATE on schema bastide for everybody",
        "BST-014",
        "bastide",
        false,
        "GRANT CREATE ON SCHEMA bastide TO PUBLIC",
    ),
    breach(
        "CREATE through a group",
        "BST-014",
        "public",
        false,
        "GRANT CREATE ON SCHEMA public TO staff; GRANT staff TO bastide_app",
    )
    .undone_by("REVOKE staff FROM bastide_app"),
    breach(
        "Bastide's own role may log in",
        "BST-016",
        "bastide_owner",
        false,
        "ALTER ROLE bastide_owner LOGIN",
    )
    .undone_by("ALTER ROLE bastide_owner NOLOGIN"),
    breach(
        "Bastide's own role is a superuser",
        "BST-016",
        "bastide_owner",
        false,
        "ALTER ROLE bastide_owner SUPERUSER",
    )
    .undone_by("ALTER ROLE bastide_owner NOSUPERUSER"),
    breach(
        "another login may become Bastide's own role",
        "BST-016",
        "legacy",
        false,
        "GRANT bastide_owner TO legacy",
    )
    .undone_by("REVOKE bastide_owner FROM legacy"),
    role(
        "may loosen large objects",
        "BST-017",
        false,
        "GRANT SET ON PARAMETER lo_compat_privileges TO bastide_app",
        "REVOKE SET ON PARAMETER lo_compat_privileges FROM bastide_app",
    ),
    role(
        "may change the server's configuration",
        "BST-017",
        false,
        "GRANT ALTER SYSTEM ON PARAMETER log_statement TO PUBLIC",
        "REVOKE ALTER SYSTEM ON PARAMETER log_statement FROM PUBLIC",
    ),
    role(
        "may load libraries",
        "BST-017",
        false,
        "GRANT SET ON PARAMETER session_preload_libraries TO staff; GRANT staff TO bastide_app",
        "REVOKE SET ON PARAMETER session_preload_libraries FROM staff; REVOKE staff FROM bastide_app",
    ),
    breach(
        "may read the server's files",
        "BST-018",
        "pg_catalog.pg_read_file(text)",
        false,
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO bastide_app",
    ),
    breach(
        "may write the server's files",
        "BST-018",
        "pg_catalog.lo_export(oid, text)",
        false,
        "GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO PUBLIC",
    ),
    breach(
        "may read the planner's samples",
        "BST-018",
        "pg_catalog.pg_statistic",
        false,
        "GRANT SELECT ON pg_statistic TO bastide_app",
    ),
    breach(
        "may read a column of the planner's samples",
        "BST-018",
        "pg_catalog.pg_statistic",
        false,
        "GRANT SELECT (stavalues1) ON pg_statistic TO bastide_app",
    ),
    breach(
        "may read the pages of large objects",
        "BST-018",
        "pg_catalog.pg_largeobject",
        false,
        "GRANT SELECT ON pg_largeobject TO PUBLIC",
    ),
    breach(
        "may read passwords",
        "BST-018",
        "pg_catalog.pg_authid",
        false,
        "GRANT SELECT ON pg_authid TO staff; GRANT staff TO bastide_app",
    )
    .undone_by("REVOKE staff FROM bastide_app"),
    breach(
        "may write the catalog",
        "BST-018",
        "pg_catalog.pg_class",
        false,
        "GRANT UPDATE ON pg_class TO bastide_app",
    ),
    // As initdb made them before 15.7 and 16.3 (CVE-2024-4317).
    breach(
        "statistics on an expression, by a view of old that asks nobody",
        "BST-018",
        "pg_catalog.pg_stats_ext_exprs",
        false,
        r"CREATE STATISTICS by_number ON (lower(number)) FROM orders;
          DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_stats_ext_exprs WITH (security_barrier) AS '
              || regexp_replace(pg_get_viewdef('pg_stats_ext_exprs'::regclass), '\s+WHERE \(?pg_has_role.*$', ''); END $$",
    ),
    breach(
        "statistics on an expression of a closed table, by a view of old",
        "BST-018",
        "pg_catalog.pg_stats_ext",
        false,
        r"CREATE STATISTICS by_what ON (lower(what)) FROM secrets;
          DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_stats_ext WITH (security_barrier) AS '
              || regexp_replace(pg_get_viewdef('pg_stats_ext'::regclass), 'pg_has_role\([^)]*\)', 'true'); END $$",
    ),
    breach(
        "a view over the planner's samples",
        "BST-018",
        "public.samples",
        false,
        "CREATE VIEW samples AS SELECT starelid, stavalues1::text AS most_common FROM pg_statistic;
             GRANT SELECT ON samples TO bastide_app",
    ),
    breach(
        "a view over a view over passwords",
        "BST-018",
        "public.known",
        false,
        "CREATE VIEW inner_known AS SELECT rolname, rolpassword FROM pg_authid;
             CREATE VIEW known AS SELECT * FROM inner_known; GRANT SELECT ON known TO PUBLIC",
    ),
];
