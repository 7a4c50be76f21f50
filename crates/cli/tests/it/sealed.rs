//! A database that takes sealed tenant contexts only: migrated and proved, served with its keys and with none, the keys
//! rotated under way, and all of it taken back.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bastide_catalog::cves::{self, Opens};
use bastide_connect::Target;
use bastide_tenancy::{Error, PoolConfig, Query, SealKeys, TenantId, TenantPool, Unbound, Watch};
use bastide_testkit::{Database, Server, server};

use crate::bastide::Bastide;

const SHOP: &str = "
CREATE TABLE merchants (id int PRIMARY KEY, slug text NOT NULL UNIQUE);
CREATE TABLE customers (id int PRIMARY KEY, merchant_id int NOT NULL REFERENCES merchants, email text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, total numeric NOT NULL);
INSERT INTO merchants VALUES (1, 'one'), (2, 'two');
INSERT INTO customers SELECT i, 1 + i % 2, i || '@example.org' FROM generate_series(1, 20) i;
INSERT INTO orders SELECT i, 1 + i % 20, i FROM generate_series(1, 101) i;
CREATE ROLE shop LOGIN PASSWORD 'shop'; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO shop;";

const ORDERS: Query = Query::new("SELECT count(*), min(tenant_id) FROM public.orders", &[]);

pub(crate) async fn pool(app: &Target, keys: Option<&Path>) -> Result<TenantPool, Error> {
    let seal_keys = keys.map(|file| SealKeys::parse(&std::fs::read_to_string(file).unwrap()).unwrap());
    TenantPool::connect(app, PoolConfig { seal_keys, size: 1, ..PoolConfig::default() }).await
}

pub(crate) async fn orders(pool: &TenantPool, tenant: &str) -> Result<i64, Error> {
    let rows = pool.read(&TenantId::new(tenant).unwrap(), &ORDERS, &[]).await?;
    Ok(rows[0].get(0))
}

pub(crate) fn password(bastide: &Bastide) -> String {
    let file = bastide.path().join("bastide_app.password");
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

pub(crate) fn app(db: &Database, bastide: &Bastide) -> Target {
    Target::parse(&db.url_as("bastide_app", &password(bastide))).unwrap()
}

/// Answers what a server is asked about that crafted SQL gets through.
async fn migrate(db: &Database, bastide: &Bastide) {
    let settings = bastide.path().join("bastide.toml");
    std::fs::write(&settings, "sealed_context = true\n").unwrap();
    let migrate = ["rls", "migrate", "--yes", "--no-backup", "--i-have-a-backup", "--accept-defaults"];
    let about = ["--tenant-root", "public.merchants", "--config", settings.to_str().unwrap()];
    let migrate = [&migrate[..], &about].concat();
    let version: u32 = db.query_one_text("SHOW server_version_num").await.parse().unwrap();
    if cves::affecting(version).any(|cve| cve.opens == Opens::ToCraftedSql) {
        let asked = bastide.run(&migrate).expect(2);
        let text = [asked.stdout, asked.stderr].concat();
        assert!(text.contains("seal:server"), "{text}");
        std::fs::write(&settings, "sealed_context = true\n[answers]\n\"seal:server\" = \"accept\"\n")
            .unwrap();
    }
    bastide.run(&migrate).expect(0);
}

/// Migrated and cut over, with the keys in a file.
pub(crate) async fn cut_over() -> (Server, Database, Bastide, PathBuf) {
    let server = server().await;
    let db = server.database("sealed").await;
    db.execute(SHOP).await;
    let bastide = Bastide::on(db.url());
    migrate(&db, &bastide).await;
    bastide.run(&["rls", "cutover", "--yes", "--watch", "0", "--in-use"]).expect(0);
    let keys = bastide.path().join("seal.keys");
    bastide.run(&["context", "export", "-o", keys.to_str().unwrap()]).expect(0);
    (server, db, bastide, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_key_is_a_tenant_and_nobody_else_there_and_back() {
    let server = server().await;
    let db = server.database("sealed").await;
    db.execute(SHOP).await;
    let before = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    migrate(&db, &bastide).await;
    // A legacy statement knows nothing of it.
    let shop = db.client_as("shop", "shop").await;
    shop.batch_execute("INSERT INTO orders VALUES (500, 1, 9); CREATE TEMPORARY TABLE mine (id int)")
        .await
        .unwrap();
    drop(shop);
    bastide.run(&["rls", "cutover", "--yes", "--watch", "0", "--in-use"]).expect(0);

    let verdict = bastide.run(&["rls", "validate", "--as", "json"]).expect(0).json();
    let forged: Vec<_> =
        verdict["probes"].as_array().unwrap().iter().filter(|probe| probe["verb"] == "forge").collect();
    assert_eq!(forged.len(), 7, "{forged:?}");
    assert!(forged.iter().all(|probe| probe["outcome"] == "held"), "{forged:?}");

    let app = app(&db, &bastide);
    let refused = pool(&app, None).await.unwrap_err();
    assert!(matches!(refused, Error::Unbound(Unbound::Sealed { .. })), "{refused}");
    let first = bastide.path().join("first.keys");
    bastide.run(&["context", "export", "-o", first.to_str().unwrap()]).expect(0);
    assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
    let serving = pool(&app, Some(&first)).await.unwrap();
    let (one, two) = (orders(&serving, "1").await.unwrap(), orders(&serving, "2").await.unwrap());
    assert_eq!((one > 0, two > 0, one + two), (true, true, 102));
    assert!(matches!(orders(&serving, "x").await.unwrap_err(), Error::MalformedTenant));

    // The watch is a client of the pool like any other.
    let round = Watch::new(&serving).look().await;
    assert!(!round.shut, "{round:?}");

    rotate(&db, &bastide, &app, &serving, &first).await;

    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    assert_eq!(before, db.schema_dump().await);
    assert_eq!(
        db.query_one_text("SELECT has_database_privilege('public', current_database(), 'TEMPORARY')::text")
            .await,
        "true"
    );
    let refused = bastide.run(&["context", "keys"]).expect(2);
    assert!(refused.stderr.contains("sealed_context = true"), "{}", refused.stderr);
}

/// The serving pool never stops answering while its key goes.
async fn rotate(db: &Database, bastide: &Bastide, app: &Target, serving: &TenantPool, first: &Path) {
    let second = bastide.path().join("second.keys");
    let told = bastide.run(&["context", "rotate", "-o", second.to_str().unwrap()]).expect(0);
    assert!(told.stderr.contains("bastide context retire 1"), "{}", told.stderr);
    orders(serving, "1").await.unwrap();
    serving.use_seal_keys(SealKeys::parse(&std::fs::read_to_string(&second).unwrap()).unwrap());
    orders(serving, "1").await.unwrap();
    let behind = pool(app, Some(first)).await.unwrap();
    orders(&behind, "1").await.unwrap();
    bastide.run(&["context", "retire", "1"]).expect(0);
    orders(serving, "1").await.unwrap();
    assert!(matches!(orders(&behind, "1").await.unwrap_err(), Error::Seal));
    let refused = pool(app, Some(first)).await.unwrap_err();
    assert!(matches!(refused, Error::Unbound(Unbound::UnknownSealKey { id: 1, .. })), "{refused}");
    for (id, says) in [("2", "is the newest"), ("1", "is not there")] {
        let ran = bastide.run(&["context", "retire", id]).expect(2);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    let keys = bastide.run(&["context", "keys", "--format", "json"]).expect(0);
    assert_eq!(keys.json().as_array().unwrap().len(), 1);
    let secret = std::fs::read_to_string(&second).unwrap().lines().last().unwrap()[2..].to_owned();
    assert!(
        !keys.stdout.contains(&secret) && !told.stdout.contains(&secret) && !told.stderr.contains(&secret)
    );
    let audited = "SELECT string_agg(action || ' ' || object, ', ' ORDER BY id) FROM bastide.audit WHERE action LIKE '%seal%'";
    assert_eq!(db.query_one_text(audited).await, "add_seal_key 2, retire_seal_key 1");
}
