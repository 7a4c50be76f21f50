//! The tenant context: its functions altered, or a tenant preset.

use super::{Breach, breach, role};

pub(super) const BREACHES: &[Breach] = &[
    breach(
        "context function replaced",
        "BST-036",
        "bastide.current_tenant()",
        true,
        "CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
             RETURN COALESCE(NULLIF(current_setting('bastide.tenant', true), ''),
             '00000000-0000-4000-8000-000000000001')",
    ),
    breach(
        "context function changed hands",
        "BST-036",
        "bastide.set_tenant(v text)",
        false,
        "ALTER FUNCTION bastide.set_tenant(text) OWNER TO legacy",
    ),
    breach(
        "the context outlives its transaction",
        "BST-036",
        "bastide.set_tenant(v text)",
        true,
        "CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
             BEGIN ATOMIC SELECT set_config('bastide.tenant', v, false); END",
    ),
    breach(
        "a context that no rollback and no RESET takes back",
        "BST-036",
        "bastide.current_tenant()",
        true,
        "CREATE SEQUENCE bastide.kept; GRANT UPDATE, SELECT ON SEQUENCE bastide.kept TO bastide_app;
             CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
             BEGIN ATOMIC SELECT setval('bastide.kept', right(v, 1)::bigint); END;
             CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
             BEGIN ATOMIC SELECT '00000000-0000-4000-8000-00000000000' || last_value FROM bastide.kept; END",
    ),
    role(
        "context preset on the role",
        "BST-037",
        true,
        "ALTER ROLE bastide_app SET bastide.tenant = '00000000-0000-4000-8000-000000000002'",
        "ALTER ROLE bastide_app RESET bastide.tenant",
    ),
    breach(
        "the context function with a tenant of its own",
        "BST-036",
        "bastide.current_tenant()",
        true,
        "ALTER FUNCTION bastide.current_tenant() SET bastide.tenant = '00000000-0000-4000-8000-000000000002'",
    ),
    breach(
        "IMMUTABLE context function",
        "BST-036",
        "bastide.current_tenant()",
        false,
        "ALTER FUNCTION bastide.current_tenant() IMMUTABLE",
    ),
    breach(
        "leakproof context function",
        "BST-036",
        "bastide.current_tenant()",
        false,
        "ALTER FUNCTION bastide.current_tenant() LEAKPROOF",
    ),
    breach(
        "definer context function",
        "BST-036",
        "bastide.current_tenant()",
        false,
        "ALTER FUNCTION bastide.current_tenant() SECURITY DEFINER",
    ),
    breach(
        "context function that is not parallel safe",
        "BST-036",
        "bastide.current_tenant()",
        false,
        "ALTER FUNCTION bastide.current_tenant() PARALLEL UNSAFE",
    ),
    breach(
        "context function that may not be called",
        "BST-036",
        "bastide.current_tenant()",
        false,
        "REVOKE EXECUTE ON FUNCTION bastide.current_tenant() FROM PUBLIC",
    ),
    breach(
        "context function whose names can be captured",
        "BST-036",
        "bastide.current_tenant()",
        false,
        "CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$SELECT
             nullif(current_setting('bastide.tenant', true), '')$$",
    ),
    breach(
        "another version of the context function",
        "BST-036",
        "bastide.current_tenant",
        false,
        "CREATE FUNCTION bastide.current_tenant(n int) RETURNS text LANGUAGE sql STABLE RETURN n::text",
    ),
    breach(
        "the setter takes anything",
        "BST-036",
        "bastide.set_tenant(v text)",
        false,
        "CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE BEGIN ATOMIC SELECT
             set_config('bastide.tenant', v, true);
             END",
    ),
    breach(
        "the setter is gone",
        "BST-036",
        "bastide.set_tenant",
        false,
        "DROP FUNCTION bastide.set_tenant(text)",
    ),
    breach(
        "context preset on the database",
        "BST-037",
        "{database}",
        false,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET bastide.tenant = ''00000000-0000-4000-8000-000000000002''',
             current_database());
             END $$",
    ),
    breach(
        "context preset on the role in the database",
        "BST-037",
        "bastide_app",
        true,
        "DO $$ BEGIN EXECUTE format('ALTER ROLE bastide_app IN DATABASE %I SET bastide.tenant =
             ''00000000-0000-4000-8000-000000000002''', current_database());
             END $$",
    ),
    breach(
        "context preset for every role",
        "BST-037",
        "every role",
        false,
        "ALTER ROLE ALL SET bastide.tenant = '00000000-0000-4000-8000-000000000002'",
    ).undone_by("ALTER ROLE ALL RESET bastide.tenant"),
    role(
        "another role preset",
        "BST-037",
        false,
        "ALTER ROLE bastide_app SET role = 'staff'",
        "ALTER ROLE bastide_app RESET role",
    ),
    role(
        "triggers preset off",
        "BST-037",
        false,
        "ALTER ROLE bastide_app SET session_replication_role = 'replica'",
        "ALTER ROLE bastide_app RESET session_replication_role",
    ),
    role(
        "row_security preset off",
        "BST-037",
        false,
        "ALTER ROLE bastide_app SET row_security = off",
        "ALTER ROLE bastide_app RESET row_security",
    ),
];
