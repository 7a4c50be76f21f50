//! A little tenanted database: notes of tenants 1, 2 and 3.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::time::Duration;

use bastide_tenancy::{Kind, Lookup, PoolConfig, Query, Row, Target, TenantId, TenantPool};
use bastide_testkit::{Database, Server};

const SCHEMA: &str = "
    CREATE ROLE bastide_owner NOLOGIN BYPASSRLS;
    CREATE ROLE app LOGIN PASSWORD 'app';
    CREATE SCHEMA bastide AUTHORIZATION bastide_owner;
    GRANT USAGE ON SCHEMA bastide TO PUBLIC;
    CREATE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql
        RETURN set_config('bastide.tenant', (v::integer)::text, true)::void;
    CREATE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
        RETURN NULLIF(current_setting('bastide.tenant', true), '');
    CREATE FUNCTION bastide.context() RETURNS TABLE (tenant text, pid integer) LANGUAGE sql STABLE
        AS 'SELECT bastide.current_tenant(), pg_backend_pid()';
    CREATE TABLE bastide.scope (schema text, \"table\" text, tenant_column text, run_id uuid);
    CREATE VIEW bastide.scoped_tables AS SELECT * FROM bastide.scope;
    GRANT SELECT ON bastide.scoped_tables TO PUBLIC;
    CREATE TABLE public.\"Notes\" (id bigserial PRIMARY KEY, tenant_id integer NOT NULL, body text NOT NULL,
        next_id bigint REFERENCES public.\"Notes\" DEFERRABLE INITIALLY DEFERRED);
    ALTER TABLE public.\"Notes\" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY bastide_tenant ON public.\"Notes\" USING (tenant_id = (SELECT bastide.current_tenant()::integer))
        WITH CHECK (tenant_id = (SELECT bastide.current_tenant()::integer));
    GRANT SELECT, INSERT, UPDATE, DELETE ON public.\"Notes\" TO app;
    INSERT INTO public.\"Notes\" (tenant_id, body) SELECT 1 + n % 3, 'note ' || n FROM generate_series(1, 300) n;
    GRANT USAGE ON SEQUENCE public.\"Notes_id_seq\" TO app;
    INSERT INTO bastide.scope VALUES ('public', 'Notes', 'tenant_id', gen_random_uuid());
";

pub(crate) const NOTES: Query = Query::new("SELECT id, tenant_id, body FROM public.\"Notes\"", &[]);
pub(crate) const SLOW: Query =
    Query::new("SELECT tenant_id, pg_sleep(0.02) IS NULL FROM public.\"Notes\" LIMIT 20", &[]);
pub(crate) const ADD: Query =
    Query::new("INSERT INTO public.\"Notes\" (tenant_id, body) VALUES ($1, $2)", &[Kind::Int4, Kind::Text]);
pub(crate) const CONTEXT: Lookup = Lookup::new("SELECT tenant, pid FROM bastide.context()", &[]);

pub(crate) async fn database() -> (Server, Database) {
    bastide_testkit::template("notes", SCHEMA, async |database| database.execute(SCHEMA).await).await
}

pub(crate) fn tenant(number: i32) -> TenantId {
    TenantId::new(number.to_string()).unwrap()
}

pub(crate) fn small(size: usize) -> PoolConfig {
    PoolConfig { size, wait: Duration::from_secs(5), ..PoolConfig::default() }
}

pub(crate) fn target(database: &Database, role: &str, password: &str) -> Target {
    Target::parse(&database.url_as(role, password)).unwrap()
}

pub(crate) async fn pool(database: &Database, config: PoolConfig) -> TenantPool {
    TenantPool::connect(&target(database, "app", "app"), config).await.expect("the app login is bound")
}

/// Reads as one tenant and makes sure that every row is that tenant's, and all of them are there.
pub(crate) async fn read_whole(pool: &TenantPool, number: i32) {
    let rows = pool.read(&tenant(number), &NOTES, &[]).await.unwrap();
    assert_eq!(rows.len(), 100, "the notes of tenant {number}");
    assert_own(&rows, number);
}

pub(crate) fn assert_own(rows: &[Row], number: i32) {
    for row in rows {
        assert_eq!(row.get::<_, i32>("tenant_id"), number, "a row of another tenant");
    }
}

/// No backend of the application's login sits in a transaction; one that is being closed gets a moment.
pub(crate) async fn assert_nothing_open(database: &Database) {
    const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state <> 'idle'";
    for _ in 0..100 {
        if database.query_one_text(OPEN).await == "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a transaction of the application's login stays open");
}
