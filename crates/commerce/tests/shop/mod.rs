//! The migrated shop, for tests of what is served from it.

use bastide_tenancy::{PoolConfig, Target, TenantPool};
use bastide_testkit::{Database, Server};

const SCHEMA: &str = include_str!("../../../../fixtures/legacy/shop/schema.sql");
const BASTIDE: &str = include_str!("../../../engine/src/schema.sql");
const MIGRATED: &str = include_str!("migrated.sql");
pub(crate) const UP: &str = include_str!("../../../../migrations/0002_lookups/up.sql");
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) const DOWN: &str = include_str!("../../../../migrations/0002_lookups/down.sql");

#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) const UP_WATCH: &str = include_str!("../../../../migrations/0003_watch/up.sql");
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) const DOWN_WATCH: &str = include_str!("../../../../migrations/0003_watch/down.sql");

const UP_CONTRACT: &str = include_str!("../../../../migrations/0004_contract/up.sql");
/// What the runner of migrations makes of its `isolate`.
const ISOLATED: &str = "ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;
    ALTER TABLE public.idempotency_keys FORCE ROW LEVEL SECURITY;
    CREATE POLICY bastide_tenant ON public.idempotency_keys USING (tenant_id = (SELECT bastide.current_tenant()::uuid))
        WITH CHECK (tenant_id = (SELECT bastide.current_tenant()::uuid));
    ALTER TABLE public.idempotency_keys ALTER tenant_id SET DEFAULT bastide.current_tenant()::uuid;
    GRANT SELECT, INSERT, UPDATE, DELETE ON public.idempotency_keys TO bastide_app;
    INSERT INTO bastide.scope VALUES ('public', 'idempotency_keys', 'tenant_id', gen_random_uuid());";

pub(crate) async fn migrated() -> (Server, Database) {
    let version = [SCHEMA, BASTIDE, MIGRATED, UP, UP_WATCH, UP_CONTRACT, ISOLATED].concat();
    bastide_testkit::template("migrated_shop", version, async |database| {
        database
            .execute("CREATE ROLE shop_legacy LOGIN; CREATE ROLE bastide_owner NOLOGIN BYPASSRLS")
            .await;
        database.execute(SCHEMA).await;
        database.execute(BASTIDE).await;
        database.execute("ALTER SCHEMA bastide OWNER TO bastide_owner; GRANT SELECT ON bastide.run, bastide.journal TO bastide_owner").await;
        database.execute(MIGRATED).await;
        database.execute(UP).await;
        database.execute(UP_WATCH).await;
        database.execute(UP_CONTRACT).await;
        database.execute(ISOLATED).await;
    })
    .await
}

pub(crate) async fn pool(database: &Database, config: PoolConfig) -> TenantPool {
    let target =
        Target::parse(&database.url_as("bastide_app", "app")).expect("testkit's URLs are well-formed");
    TenantPool::connect(&target, config).await.expect("the app login is bound")
}
