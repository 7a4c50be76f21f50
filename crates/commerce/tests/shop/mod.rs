//! The platform's schema, with a little data, for tests of what is served from it.

use bastide_engine::{Patience, Place};
use bastide_schema::{Migrations, Options, SchemaError};
use bastide_sql::Ident;
use bastide_tenancy::{PoolConfig, Target, TenantPool};
use bastide_testkit::{Database, Server};
use tempfile::TempDir;

const DATA: &str = include_str!("data.sql");
/// What renders the rest of it.
const STEPS: [&str; 7] = [
    include_str!("../../../plan/src/isolate/mod.rs"),
    include_str!("../../../plan/src/steps/close_table.rs"),
    include_str!("../../../plan/src/steps/context.rs"),
    include_str!("../../../plan/src/steps/create_context.rs"),
    include_str!("../../../plan/src/steps/grant_app.rs"),
    include_str!("../../../plan/src/steps/protect_table.rs"),
    include_str!("../../../plan/src/steps/set_tenant_default.rs"),
];
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) const UP: &str = include_str!("../../../../migrations/0002_lookups/up.sql");
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) const DOWN: &str = include_str!("../../../../migrations/0002_lookups/down.sql");

#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) const UP_WATCH: &str = include_str!("../../../../migrations/0003_watch/up.sql");
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) const DOWN_WATCH: &str = include_str!("../../../../migrations/0003_watch/down.sql");

#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) const DOWN_ACCOUNTS: &str = include_str!("../../../../migrations/0006_accounts/down.sql");

pub(crate) async fn migrated() -> (Server, Database) {
    let migrations = Migrations::embedded().expect("a test of bastide-schema reads them");
    let version = [migrations.digest(), STEPS.concat(), DATA.to_owned()].concat();
    bastide_testkit::template("platform_shop", version, async |database| {
        up(database, Some(2)).await;
        // The canaries of the third come on top of rows, as in a shop that is there.
        database.execute(DATA).await;
        up(database, None).await;
        database.execute("ANALYZE").await;
    })
    .await
}

/// To this version, or the newest.
pub(crate) async fn up(database: &Database, to: Option<i32>) {
    let state = tempfile::tempdir().expect("a temporary folder can be made");
    let options = options(database, &state);
    bastide_schema::up(&options, to, &|_| {}).await.unwrap_or_else(|error| panic!("{error}"));
}

#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) async fn down(database: &Database, to: i32) -> Result<(), SchemaError> {
    let state = tempfile::tempdir().expect("a temporary folder can be made");
    bastide_schema::down(&options(database, &state), Some(to), &|_| {}).await.map(drop)
}

fn options(database: &Database, state: &TempDir) -> Options {
    Options {
        place: Place {
            target: Target::parse(&database.url()).expect("testkit's URLs are well-formed"),
            app: None,
            state_dir: state.path().to_owned(),
            patience: Patience::default(),
        },
        app_role: Ident::constant("bastide_app"),
        app_password: Some("app".to_owned()),
        migrations: Migrations::embedded().expect("a test of bastide-schema reads them"),
    }
}

pub(crate) async fn pool(database: &Database, config: PoolConfig) -> TenantPool {
    let target =
        Target::parse(&database.url_as("bastide_app", "app")).expect("testkit's URLs are well-formed");
    TenantPool::connect(&target, config).await.expect("the app login is bound")
}
