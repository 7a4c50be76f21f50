//! What one tenant's statements leave in the session of a sealed database: gone before another tenant has it. Through a
//! transaction pooler, where nobody can clear it, one statement through the door is one tenant's, and no more is said.

use bastide_connect::Target;
use bastide_tenancy::{
    Error, Kind, Outcome, PoolConfig, Query, SealKeys, Standing, TenantId, TenantPool, Unbound, Watch,
};
use bastide_testkit::PgBouncer;

use crate::sealed::{app, cut_over, orders, password, pool};

const fn query(sql: &'static str) -> Query {
    Query::new(sql, &[])
}

/// What is left, by what, and whether it is there.
const LEFT: &[(&str, &str, Query)] = &[
    (
        "a setting",
        "SET shop.note = 'of one'",
        query("SELECT coalesce(current_setting('shop.note', true), '') <> ''"),
    ),
    (
        "a session's time zone",
        "SET SESSION TIME ZONE 'Pacific/Chatham'",
        query("SELECT current_setting('TimeZone') = 'Pacific/Chatham'"),
    ),
    (
        "a held cursor",
        "DECLARE kept CURSOR WITH HOLD FOR SELECT total FROM public.orders",
        query("SELECT EXISTS (SELECT FROM pg_cursors WHERE name = 'kept')"),
    ),
    (
        "a prepared statement",
        "PREPARE kept AS SELECT total FROM public.orders",
        query("SELECT EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'kept')"),
    ),
    (
        "a temporary table",
        "CREATE TEMPORARY TABLE kept AS SELECT * FROM public.orders",
        query("SELECT to_regclass('pg_temp.kept') IS NOT NULL"),
    ),
    ("LISTEN", "LISTEN kept", query("SELECT EXISTS (SELECT FROM pg_listening_channels())")),
    (
        "the last number of a sequence",
        "SELECT nextval('public.drawn')",
        query("SELECT currval('public.drawn') > 0"),
    ),
    ("a role", "SET SESSION ROLE staff", query("SELECT current_user <> session_user")),
    (
        "a lock",
        "SELECT pg_advisory_lock(7)",
        query("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7)"),
    ),
];

/// The door takes none of these by itself: what is injected comes inside a statement that it takes.
const INJECTED: Query = Query::new("SELECT public.injected($1)", &[Kind::Text]);
const BACKEND: Query = query("SELECT pg_backend_pid()");

/// More than an application's login has after a run, so that there is something to clear.
const GIVEN: &str = "
    CREATE FUNCTION injected(statement text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE statement; END';
    GRANT TEMPORARY ON DATABASE sealed TO bastide_app;
    CREATE SEQUENCE drawn; GRANT USAGE ON SEQUENCE drawn TO bastide_app;
    CREATE ROLE staff; GRANT staff TO bastide_app;
    GRANT EXECUTE ON FUNCTION injected(text) TO bastide_app; GRANT USAGE ON SCHEMA bastide TO staff; GRANT EXECUTE ON FUNCTION bastide.set_tenant(text) TO staff";

fn tenant(key: &str) -> TenantId {
    TenantId::new(key).unwrap()
}

async fn inject(pool: &TenantPool, key: &str, statement: &str) -> Result<(), Error> {
    let mut tx = pool.begin(&tenant(key)).await?;
    tx.query(&INJECTED, &[&statement]).await?;
    tx.commit().await
}

/// 55000: no number was drawn in this session.
async fn is_there(pool: &TenantPool, key: &str, asked: &Query) -> bool {
    match pool.read(&tenant(key), asked, &[]).await {
        Ok(rows) => rows[0].get(0),
        Err(Error::Database(error)) if error.code == "55000" => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_one_tenant_leaves_in_a_session_is_there_for_the_next() {
    let (_server, db, bastide, keys) = cut_over().await;
    db.execute(GIVEN).await;
    let pool = pool(&app(&db, &bastide), Some(&keys)).await.unwrap();
    let backend = async || pool.read(&tenant("1"), &BACKEND, &[]).await.unwrap()[0].get::<_, i32>(0);
    let before = backend().await;
    for (what, statement, asked) in LEFT {
        inject(&pool, "1", statement).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(is_there(&pool, "1", asked).await, "{what} stays while nobody else comes");
        assert!(!is_there(&pool, "2", asked).await, "{what} was left to another tenant");
    }
    assert_eq!(backend().await, before, "all of it on one connection");
    // Nobody but a superuser has another session authorization to leave.
    let other = inject(&pool, "1", "SET SESSION AUTHORIZATION shop").await.unwrap_err();
    assert!(matches!(other, Error::Denied(_)), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_transaction_pooler_each_statement_is_one_tenants_and_the_session_is_anybodys() {
    let (server, db, bastide, keys) = cut_over().await;
    let pooler = PgBouncer::before(&server, "bastide_app", &password(&bastide));
    let login = Target::parse(&pooler.url(&db)).unwrap();
    let config =
        |keys| PoolConfig { seal_keys: keys, transaction_pooler: true, size: 2, ..PoolConfig::default() };
    let refused = TenantPool::connect(&login, config(None)).await.unwrap_err();
    assert!(matches!(refused, Error::Unbound(Unbound::Sealed { .. })), "{refused}");
    let keys = SealKeys::parse(&std::fs::read_to_string(keys).unwrap()).unwrap();
    let pool = TenantPool::connect(&login, config(Some(keys))).await.unwrap();

    // What is said: whatever came before on the connection, a statement through the door is its tenant's.
    let (one, two) = (orders(&pool, "1").await.unwrap(), orders(&pool, "2").await.unwrap());
    assert_eq!((one > 0, two > 0, one + two), (true, true, 101));
    let both = futures_util::future::join_all(
        (0..40).map(|round| orders(&pool, if round % 2 == 0 { "1" } else { "2" })),
    );
    for (round, seen) in both.await.into_iter().enumerate() {
        assert_eq!(seen.unwrap(), if round % 2 == 0 { one } else { two });
    }
    assert!(matches!(orders(&pool, "x").await.unwrap_err(), Error::MalformedTenant));
    db.execute(GIVEN).await;
    let planted = "UPDATE public.orders SET tenant_id = 2";
    assert!(matches!(inject(&pool, "1", planted).await.unwrap_err(), Error::Denied(_)));

    // The watch sees through it what it sees without.
    let mut watch = Watch::new(&pool);
    let first = watch.look().await;
    let held = |name| first.probes.iter().any(|probe| probe.name == name && probe.outcome == Outcome::Held);
    assert!(!first.shut && held("bound") && held("posture"), "{first:?}");
    db.execute("ALTER TABLE orders DISABLE ROW LEVEL SECURITY").await;
    let round = watch.look().await;
    assert_eq!((round.standing(), round.shut), (Standing::Breached, true), "{round:?}");
    assert!(matches!(orders(&pool, "1").await.unwrap_err(), Error::NotIsolated));
    db.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY").await;
    assert!(!watch.look().await.shut);
    assert_eq!(orders(&pool, "1").await.unwrap(), one);

    // What is not: arbitrary SQL leaves what it likes to whoever comes next.
    for (what, statement, asked) in LEFT.iter().filter(|(what, ..)| !["a role", "a lock"].contains(what)) {
        inject(&pool, "1", statement).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(
            is_there(&pool, "2", asked).await,
            "{what}: it is cleared, so docs/threat-model.md may say so"
        );
    }
    // The rows of one's own, not a way to the other's: a statement of the next tenant is still the next tenant's.
    assert_eq!(orders(&pool, "2").await.unwrap(), two);
}
