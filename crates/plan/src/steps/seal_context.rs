//! The tenant context as a token that only whoever holds a key can make: `set_tenant` takes it, `current_tenant` opens it.
//!
//! Whoever runs SQL as the application's login can put any text into the setting; without a key it opens to nobody's rows.
//! A token is `v1.KEY.EXPIRY.MAC.TENANT`: the id of a key in `bastide.seal_key`, seconds since 1970, and HMAC-SHA-256 (RFC 2104),
//! in hexadecimal, over all the rest, the database and the login. What it stops, and what not: docs/threat-model.md.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Sql, sql};
use serde::{Deserialize, Serialize};

use super::{
    context,
    create_context::{current_tenant, set_tenant},
};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealContext {
    pub root_type: TypeName,
}

/// In the order in which they can be made; dropped the other way round.
const FUNCTIONS: [&str; 4] = [
    "bastide.add_seal_key()",
    "bastide.seal_mac(bytea, bytea, text, text, text, text)",
    "bastide.seal(text, name, interval)",
    "bastide.open_seal(text)",
];

/// The pads of HMAC are stored, for SQL cannot XOR two byteas. A random uuid has 122 bits from the server's strong generator.
const ADD_KEY: &str = "CREATE FUNCTION bastide.add_seal_key() RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    random bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    inside bytea := decode(repeat('36', 64), 'hex');
    outside bytea := decode(repeat('5c', 64), 'hex');
    made integer;
BEGIN
    FOR at IN 0..31 LOOP
        inside := set_byte(inside, at, get_byte(random, at) # 54);
        outside := set_byte(outside, at, get_byte(random, at) # 92);
    END LOOP;
    LOCK TABLE bastide.seal_key IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO bastide.seal_key (id, secret, inner_pad, outer_pad)
        SELECT COALESCE(max(k.id), 0) + 1, random, inside, outside FROM bastide.seal_key AS k RETURNING id INTO made;
    RETURN made;
END $$";

/// Lengths keep the end of one name from being taken for the beginning of the next.
const MAC: &str = "CREATE FUNCTION bastide.seal_mac(inner_pad bytea, outer_pad bytea, kept text, expiry text, login text, tenant text)
    RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(outer_pad || sha256(inner_pad || convert_to(concat_ws('.', 'v1', kept, expiry,
    octet_length(current_database()), current_database(), octet_length(login), login, tenant), 'UTF8')))";

/// For whoever may read the keys: probes, and people at psql.
const SEAL: &str = "CREATE FUNCTION bastide.seal(tenant text, login name, lifetime interval) RETURNS text LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT concat_ws('.', 'v1', k.id, t.expiry, encode(bastide.seal_mac(k.inner_pad, k.outer_pad, k.id::text, t.expiry, login::text, tenant), 'hex'), tenant)
    FROM (SELECT floor(extract(epoch FROM clock_timestamp() + lifetime))::bigint::text AS expiry) AS t,
        bastide.seal_key AS k ORDER BY k.id DESC LIMIT 1;
END";

/// Whatever is no token, or is not this login's, this database's, or in time, is an error rather than an empty shop. What is compared
/// are hashes of the two codes, so that the time it takes tells nothing of the right one. PL/pgSQL, which keeps its plan from
/// call to call: as an SQL function it takes four times as long.
const OPEN: &str = "CREATE FUNCTION bastide.open_seal(token text) RETURNS text LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part text[];
    tenant text;
    pads record;
BEGIN
    IF token ~ '^v1[.][0-9]{1,9}[.][0-9]{1,12}[.][0-9a-f]{64}[.]' THEN
        part := string_to_array(token, '.');
        tenant := substr(token, 71 + length(part[2]) + length(part[3]));
        SELECT k.inner_pad, k.outer_pad INTO pads FROM bastide.seal_key AS k WHERE k.id = part[2]::integer;
        IF FOUND AND part[3]::bigint > extract(epoch FROM statement_timestamp())
            AND sha256(bastide.seal_mac(pads.inner_pad, pads.outer_pad, part[2], part[3], session_user::text, tenant)) = sha256(decode(part[4], 'hex')) THEN
            RETURN tenant;
        END IF;
    END IF;
    RAISE EXCEPTION 'this is no tenant context sealed for % with a key of this database, or it has expired', session_user
        USING ERRCODE = '28000', HINT = 'Give the server a key that `bastide context keys` lists, and compare the clocks.';
END $$";

impl SealContext {
    pub(super) fn subject(&self) -> String {
        "bastide".to_owned()
    }

    pub(super) fn describe(&self) -> String {
        "seal the tenant context: only tokens made with a key of bastide.seal_key are taken".to_owned()
    }

    /// Parsed bodies, but where a loop is needed: no search_path can make their names mean something else.
    pub(super) fn forward(&self) -> Script {
        let owner = context::bastide_owner();
        let mut statements = vec![
            sql!(
                "CREATE TABLE bastide.seal_key (id integer PRIMARY KEY, secret bytea NOT NULL, inner_pad bytea NOT NULL, outer_pad bytea NOT NULL, made_at timestamptz NOT NULL DEFAULT clock_timestamp())"
            ),
            sql!("ALTER TABLE bastide.seal_key OWNER TO {}", owner),
        ];
        statements.extend([ADD_KEY, MAC, SEAL, OPEN].map(Sql::trusted));
        statements.extend(
            FUNCTIONS.map(|function| sql!("ALTER FUNCTION {} OWNER TO {}", Sql::trusted(function), owner)),
        );
        statements.extend([
            context::nobody_elses(&["bastide.seal_key"], &FUNCTIONS),
            sql!("GRANT EXECUTE ON FUNCTION bastide.open_seal(text) TO PUBLIC"),
            sql!("SELECT bastide.add_seal_key()"),
            // Opened where it is used, and not here as well; a tenant that is no value of the root key's type fails with 22P02, as in
            // a plain context.
            sql!(
                "CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT pg_catalog.set_config('bastide.tenant', CASE WHEN NULLIF(substr(v, 71 + length(split_part(v, '.', 2)) + length(split_part(v, '.', 3))), '')::{} IS NULL
        THEN COALESCE(v, '') ELSE v END, true);
END",
                context::open_type(&self.root_type)
            ),
            sql!(
                "CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN bastide.open_seal(NULLIF(pg_catalog.current_setting('bastide.tenant', true), ''))"
            ),
        ]);
        Script::unlocked(statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let mut statements =
            vec![current_tenant("CREATE OR REPLACE"), set_tenant("CREATE OR REPLACE", &self.root_type)];
        statements.extend(FUNCTIONS.iter().rev().map(|function| sql!("DROP FUNCTION {}", Sql::trusted(*function))));
        statements.push(sql!("DROP TABLE bastide.seal_key"));
        Script::unlocked(statements)
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        catalog.server.sealed_context = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, show},
    };

    fn step() -> Step {
        Step::SealContext(SealContext { root_type: sql!("integer") })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step().id(), @"seal_context:bastide");
        insta::assert_snapshot!(step().describe(), @"seal the tenant context: only tokens made with a key of bastide.seal_key are taken");
        insta::assert_snapshot!(show(&step().forward()), @r#"
    -- Transaction
    CREATE TABLE bastide.seal_key (id integer PRIMARY KEY, secret bytea NOT NULL, inner_pad bytea NOT NULL, outer_pad bytea NOT NULL, made_at timestamptz NOT NULL DEFAULT clock_timestamp());
    ALTER TABLE bastide.seal_key OWNER TO "bastide_owner";
    CREATE FUNCTION bastide.add_seal_key() RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        random bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
        inside bytea := decode(repeat('36', 64), 'hex');
        outside bytea := decode(repeat('5c', 64), 'hex');
        made integer;
    BEGIN
        FOR at IN 0..31 LOOP
            inside := set_byte(inside, at, get_byte(random, at) # 54);
            outside := set_byte(outside, at, get_byte(random, at) # 92);
        END LOOP;
        LOCK TABLE bastide.seal_key IN SHARE ROW EXCLUSIVE MODE;
        INSERT INTO bastide.seal_key (id, secret, inner_pad, outer_pad)
            SELECT COALESCE(max(k.id), 0) + 1, random, inside, outside FROM bastide.seal_key AS k RETURNING id INTO made;
        RETURN made;
    END $$;
    CREATE FUNCTION bastide.seal_mac(inner_pad bytea, outer_pad bytea, kept text, expiry text, login text, tenant text)
        RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256(outer_pad || sha256(inner_pad || convert_to(concat_ws('.', 'v1', kept, expiry,
        octet_length(current_database()), current_database(), octet_length(login), login, tenant), 'UTF8')));
    CREATE FUNCTION bastide.seal(tenant text, login name, lifetime interval) RETURNS text LANGUAGE sql VOLATILE
    BEGIN ATOMIC
        SELECT concat_ws('.', 'v1', k.id, t.expiry, encode(bastide.seal_mac(k.inner_pad, k.outer_pad, k.id::text, t.expiry, login::text, tenant), 'hex'), tenant)
        FROM (SELECT floor(extract(epoch FROM clock_timestamp() + lifetime))::bigint::text AS expiry) AS t,
            bastide.seal_key AS k ORDER BY k.id DESC LIMIT 1;
    END;
    CREATE FUNCTION bastide.open_seal(token text) RETURNS text LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        part text[];
        tenant text;
        pads record;
    BEGIN
        IF token ~ '^v1[.][0-9]{1,9}[.][0-9]{1,12}[.][0-9a-f]{64}[.]' THEN
            part := string_to_array(token, '.');
            tenant := substr(token, 71 + length(part[2]) + length(part[3]));
            SELECT k.inner_pad, k.outer_pad INTO pads FROM bastide.seal_key AS k WHERE k.id = part[2]::integer;
            IF FOUND AND part[3]::bigint > extract(epoch FROM statement_timestamp())
                AND sha256(bastide.seal_mac(pads.inner_pad, pads.outer_pad, part[2], part[3], session_user::text, tenant)) = sha256(decode(part[4], 'hex')) THEN
                RETURN tenant;
            END IF;
        END IF;
        RAISE EXCEPTION 'this is no tenant context sealed for % with a key of this database, or it has expired', session_user
            USING ERRCODE = '28000', HINT = 'Give the server a key that `bastide context keys` lists, and compare the clocks.';
    END $$;
    ALTER FUNCTION bastide.add_seal_key() OWNER TO "bastide_owner";
    ALTER FUNCTION bastide.seal_mac(bytea, bytea, text, text, text, text) OWNER TO "bastide_owner";
    ALTER FUNCTION bastide.seal(text, name, interval) OWNER TO "bastide_owner";
    ALTER FUNCTION bastide.open_seal(text) OWNER TO "bastide_owner";
    DO $bastide$DECLARE
        opened record;
    BEGIN
        FOR opened IN SELECT DISTINCT made.object, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
                      FROM (SELECT c.oid::regclass::text AS object, c.relacl AS acl, c.relowner AS owner FROM pg_class c WHERE c.oid = ANY (ARRAY['bastide.seal_key']::regclass[])
                            UNION ALL
                            SELECT format('FUNCTION %s', p.oid::regprocedure), COALESCE(p.proacl, acldefault('f', p.proowner)), p.proowner
                            FROM pg_proc p WHERE p.oid = ANY (ARRAY['bastide.add_seal_key()', 'bastide.seal_mac(bytea, bytea, text, text, text, text)', 'bastide.seal(text, name, interval)', 'bastide.open_seal(text)']::regprocedure[])) AS made, aclexplode(made.acl) a
                      WHERE a.grantee <> made.owner LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', opened.object, opened.grantee);
        END LOOP;
    END$bastide$;
    GRANT EXECUTE ON FUNCTION bastide.open_seal(text) TO PUBLIC;
    SELECT bastide.add_seal_key();
    CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
    BEGIN ATOMIC
        SELECT pg_catalog.set_config('bastide.tenant', CASE WHEN NULLIF(substr(v, 71 + length(split_part(v, '.', 2)) + length(split_part(v, '.', 3))), '')::integer IS NULL
            THEN COALESCE(v, '') ELSE v END, true);
    END;
    CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN bastide.open_seal(NULLIF(pg_catalog.current_setting('bastide.tenant', true), ''));
    "#);
        insta::assert_snapshot!(show(&step().inverse()), @"
    -- Transaction
    CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(pg_catalog.current_setting('bastide.tenant', true), '');
    CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
    BEGIN ATOMIC
        SELECT pg_catalog.set_config('bastide.tenant', COALESCE((NULLIF(v, '')::integer)::text, ''), true);
    END;
    DROP FUNCTION bastide.open_seal(text);
    DROP FUNCTION bastide.seal(text, name, interval);
    DROP FUNCTION bastide.seal_mac(bytea, bytea, text, text, text, text);
    DROP FUNCTION bastide.add_seal_key();
    DROP TABLE bastide.seal_key;
    ");
    }

    const SHOP: &str = "CREATE TABLE orders (id int PRIMARY KEY, tenant_id int); INSERT INTO orders VALUES (1, 1), (2, 2), (3, 2);
        ALTER TABLE orders ENABLE ROW LEVEL SECURITY; GRANT SELECT ON orders TO bastide_app; ALTER ROLE bastide_app PASSWORD 'app'";
    const POLICY: &str = "CREATE POLICY p ON public.orders TO bastide_app USING (tenant_id = (SELECT bastide.current_tenant()::integer))";

    #[tokio::test]
    async fn nobody_else_reads_the_keys_and_functions_come_back_as_they_were() {
        let schema = "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO legacy; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO legacy;
";
        let mut trial = Trial::of("integer", schema).await;
        let all = "SELECT (SELECT string_agg(p.oid::regprocedure || pg_get_functiondef(p.oid) || COALESCE(p.proacl::text, ''), E'\n' ORDER BY p.oid::regprocedure::text) FROM pg_proc p WHERE pronamespace = 'bastide'::regnamespace)
            || (SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'bastide'::regnamespace)";
        let before = trial.db.query_one_text(all).await;
        trial.round(&step()).await;
        let open = "SELECT count(*)::text FROM unnest(ARRAY['legacy', 'bastide_app']) r WHERE has_any_column_privilege(r, 'bastide.seal_key', 'SELECT, INSERT, UPDATE') OR has_function_privilege(r, 'bastide.seal(text, name, interval)', 'EXECUTE') OR has_function_privilege(r, 'bastide.add_seal_key()', 'EXECUTE')";
        assert_eq!(trial.db.query_one_text(open).await, "0");
        trial.undo(&step()).await;
        assert_eq!(trial.db.query_one_text(all).await, before);
    }

    #[tokio::test]
    async fn only_a_token_opens_and_only_for_whom_it_was_made() {
        let mut trial = Trial::of("integer", SHOP).await;
        trial.execute(POLICY).await;
        trial.forward(&step()).await;
        let seal = async |tenant: &str, login: &str, lifetime: &str| {
            trial.db.query_one_text(&format!("SELECT bastide.seal('{tenant}', '{login}', '{lifetime}')")).await
        };
        let app = trial.db.client_as("bastide_app", "app").await;
        let seen = async |set: &str| {
            app.batch_execute(&format!("BEGIN; {set}")).await.unwrap();
            let rows: i64 = app.query_one("SELECT count(*) FROM public.orders", &[]).await.unwrap().get(0);
            app.batch_execute("ROLLBACK").await.unwrap();
            rows
        };
        let refused = async |set: &str| {
            app.batch_execute(&format!("BEGIN; {set}")).await.unwrap();
            let error = app.query_one("SELECT count(*) FROM public.orders", &[]).await.unwrap_err();
            app.batch_execute("ROLLBACK").await.unwrap();
            error.code().unwrap().code().to_owned()
        };
        let (one, two) = (seal("1", "bastide_app", "1 minute").await, seal("2", "bastide_app", "1 minute").await);
        assert_eq!(seen(&format!("SELECT bastide.set_tenant('{one}')")).await, 1);
        assert_eq!(seen(&format!("SELECT bastide.set_tenant('{two}')")).await, 2);
        assert_eq!(seen("").await, 0);
        // Past set_tenant: nothing in the setting but a token opens, and no other login's, no changed and no expired one.
        let forged = format!("{}.2", one.rsplit_once('.').unwrap().0);
        let later = two.replacen(two.split('.').nth(2).unwrap(), "99999999999", 1);
        let others = seal("2", "legacy", "1 minute").await;
        let expired = seal("2", "bastide_app", "-1 second").await;
        for token in ["2", "v1.1.99999999999.x.2", &forged, &later, &others, &expired, &two.replace("v1.1.", "v1.9.")] {
            for set in [format!("SET LOCAL bastide.tenant = '{token}'"), format!("SELECT bastide.set_tenant('{token}')")] {
                assert_eq!(refused(&set).await, "28000", "{set}");
            }
        }
        // A tenant may hold what parts a token, and a key that is gone opens nothing.
        assert_eq!(trial.db.query_one_text("SELECT bastide.open_seal(bastide.seal('a.b.c', session_user, '1 minute'))").await, "a.b.c");
        trial.execute("SELECT bastide.add_seal_key()").await;
        assert_eq!(seen(&format!("SELECT bastide.set_tenant('{two}')")).await, 2);
        let newer = seal("2", "bastide_app", "1 minute").await;
        assert!(newer.starts_with("v1.2."), "{newer}");
        trial.execute("DELETE FROM bastide.seal_key WHERE id = 1").await;
        assert_eq!(refused(&format!("SET LOCAL bastide.tenant = '{two}'")).await, "28000");
        assert_eq!(seen(&format!("SELECT bastide.set_tenant('{newer}')")).await, 2);
        // As without seals: what is no key of the root at all.
        let odd = seal("one", "bastide_app", "1 minute").await;
        let error = app.batch_execute(&format!("SELECT bastide.set_tenant('{odd}')")).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "22P02");
    }

    /// RFC 2104 with a key of 32 bytes, against the server's own arithmetic.
    #[tokio::test]
    async fn the_code_is_the_one_of_the_standard() {
        let mut trial = Trial::of("integer", "").await;
        trial.forward(&step()).await;
        trial.execute("UPDATE bastide.seal_key SET inner_pad = decode(repeat('36', 64), 'hex'), outer_pad = decode(repeat('5c', 64), 'hex')").await;
        // HMAC-SHA-256 of the message with a key of 64 zero bytes.
        let code = "SELECT encode(bastide.seal_mac(inner_pad, outer_pad, '1', '2', 'me', 't'), 'hex') FROM bastide.seal_key";
        assert_eq!(trial.db.query_one_text(code).await, "0a1e2ecc56bbdf664e12d9385271e8d254320412a7ecae0aa280aaf08064ff4b");
    }

    #[tokio::test]
    async fn opened_once_per_statement_and_in_parallel_plans() {
        let mut trial = Trial::of("integer", SHOP).await;
        trial.execute(POLICY).await;
        trial.forward(&step()).await;
        let app = trial.db.client_as("bastide_app", "app").await;
        let rows = app.query("EXPLAIN SELECT * FROM public.orders", &[]).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains("tenant_id = $0")), "{plan:?}");
    }
}
