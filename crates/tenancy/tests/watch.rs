//! A running server sees what became of its walls, says what, and lends nothing while they are down.

mod notes;

use bastide_tenancy::{Drift, Error, Outcome, Round, Standing, TenantPool, Watch};
use bastide_testkit::{Database, Server};
use notes::{pool, read_whole, small, tenant};

const CANARIES: &str = "
    CREATE FUNCTION bastide.canaries() RETURNS TABLE (name text, tenant text) LANGUAGE sql STABLE
        AS $$ VALUES ('a', '101'), ('b', '102') $$;
    INSERT INTO public.\"Notes\" (tenant_id, body) VALUES (101, 'canary a'), (102, 'canary b');
";

/// A server that was begun and found isolated.
struct Served {
    _server: Server,
    database: Database,
    pool: TenantPool,
    watch: Watch,
}

impl Served {
    async fn begin() -> Self {
        let (server, database) = notes::database().await;
        database.execute(CANARIES).await;
        let pool = pool(&database, small(2)).await;
        let mut watch = Watch::new(&pool);
        let first = watch.look().await;
        assert_eq!(first.standing(), Standing::Isolated, "{first:?}");
        assert_eq!((first.drift, first.shut), (Some(Vec::new()), false));
        Self { _server: server, database, pool, watch }
    }

    /// After a change, one look.
    async fn after(&mut self, change: &str) -> Round {
        self.database.execute(change).await;
        self.watch.look().await
    }

    async fn serves(&self) -> bool {
        match self.pool.read(&tenant(1), &notes::NOTES, &[]).await {
            Ok(rows) => !rows.is_empty(),
            Err(Error::NotIsolated) => false,
            Err(other) => panic!("{other}"),
        }
    }

    /// Nothing but `name` (or any of them) is breached after `change`, and nothing is served until it is mended.
    async fn breached(&mut self, change: &str, names: &[&str], mend: &str) -> Round {
        let round = self.after(change).await;
        assert_eq!((round.standing(), round.shut), (Standing::Breached, true), "{change}: {round:?}");
        assert_eq!(breaches(&round), names, "{change}: {round:?}");
        assert!(!self.serves().await, "{change}");
        let mended = self.after(mend).await;
        assert_eq!((mended.standing(), mended.shut), (Standing::Isolated, false), "{mend}: {mended:?}");
        read_whole(&self.pool, 1).await;
        round
    }
}

fn breaches(round: &Round) -> Vec<&'static str> {
    let breached = |probe: &&bastide_tenancy::Probe| matches!(probe.outcome, Outcome::Breached(_));
    round.probes.iter().filter(breached).map(|probe| probe.name).collect()
}

fn drift(round: &Round) -> Vec<String> {
    round.drift.as_ref().expect("the posture was read").iter().map(Drift::to_string).collect()
}

#[tokio::test]
async fn every_attempt_of_the_canary_holds_on_sound_walls() {
    let mut served = Served::begin().await;
    let round = served.watch.look().await;
    let named: Vec<_> = round.probes.iter().map(|probe| (probe.name, &probe.outcome)).collect();
    let held = &Outcome::Held;
    let names = ["bound", "posture", "read_unset", "read_other", "insert_other", "move_other"];
    assert_eq!(named, names.map(|name| (name, held)));
    let count = served.database.query_one_text("SELECT count(*) FROM public.\"Notes\"").await;
    assert_eq!(count, "302", "what the canary wrote is rolled back");
}

#[tokio::test]
async fn row_security_that_is_switched_off_stops_the_server_until_it_is_on_again() {
    let mut served = Served::begin().await;
    let round = served
        .breached(
            "ALTER TABLE public.\"Notes\" DISABLE ROW LEVEL SECURITY",
            &["bound", "posture", "read_unset", "read_other"],
            "ALTER TABLE public.\"Notes\" ENABLE ROW LEVEL SECURITY",
        )
        .await;
    assert_eq!(drift(&round), ["public.\"Notes\": row security was taken off"]);
}

#[tokio::test]
async fn a_policy_that_lets_everybody_in_is_found_by_posture_and_canary() {
    let mut served = Served::begin().await;
    let round = served
        .breached(
            "CREATE POLICY support ON public.\"Notes\" USING (true)",
            &["posture", "read_unset", "read_other"],
            "DROP POLICY support ON public.\"Notes\"",
        )
        .await;
    assert_eq!(
        drift(&round),
        [
            "public.\"Notes\": the login is now permitted ALL USING (true)",
            "public.\"Notes\": policy support was added"
        ]
    );
}

#[tokio::test]
async fn a_weak_policy_that_was_there_before_the_server_is_the_canarys_to_find() {
    let (_server, database) = notes::database().await;
    database.execute(CANARIES).await;
    database.execute("CREATE POLICY support ON public.\"Notes\" FOR INSERT WITH CHECK (true)").await;
    let pool = pool(&database, small(2)).await;
    let round = Watch::new(&pool).look().await;
    assert_eq!(breaches(&round), ["insert_other"], "{round:?}");
    assert!(matches!(pool.ping().await, Err(Error::NotIsolated)));
}

#[tokio::test]
async fn a_context_function_that_lies_stops_the_server() {
    let mut served = Served::begin().await;
    const CURRENT: &str = "CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN";
    let round = served
        .breached(
            &format!("{CURRENT} COALESCE(NULLIF(current_setting('bastide.tenant', true), ''), '2')"),
            &["posture", "read_unset"],
            &format!("{CURRENT} NULLIF(current_setting('bastide.tenant', true), '')"),
        )
        .await;
    assert_eq!(drift(&round), ["function bastide.current_tenant(): definition was changed"]);
}

#[tokio::test]
async fn a_login_that_row_security_no_longer_binds_stops_the_server() {
    let mut served = Served::begin().await;
    let all = ["bound", "posture", "read_unset", "read_other"];
    let round = served.breached("ALTER ROLE app BYPASSRLS", &all, "ALTER ROLE app NOBYPASSRLS").await;
    assert_eq!(drift(&round), ["login app: BYPASSRLS was put on"]);
    let round = served.after("GRANT bastide_owner TO app").await;
    assert!(round.shut && breaches(&round).contains(&"bound"), "{round:?}");
    assert!(drift(&round).contains(&"login app: membership in bastide_owner was added".to_owned()));
}

#[tokio::test]
async fn what_is_merely_different_is_named_and_the_shop_goes_on() {
    let mut served = Served::begin().await;
    let mut named = async |change: &str| {
        let round = served.after(change).await;
        assert_eq!((round.standing(), round.shut), (Standing::Isolated, false), "{change}: {round:?}");
        assert!(served.serves().await, "{change}");
        drift(&round)
    };
    assert_eq!(
        named("ALTER TABLE public.\"Notes\" NO FORCE ROW LEVEL SECURITY").await,
        ["public.\"Notes\": FORCE was taken off"]
    );
    assert_eq!(
        named("ALTER TABLE public.\"Notes\" FORCE ROW LEVEL SECURITY; CREATE TABLE public.bare (id integer); GRANT SELECT ON public.bare TO app").await,
        ["public.bare: a table the login can reach since, and row-level security does not bind it there"]
    );
    assert_eq!(
        named("DROP TABLE public.bare; CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'").await,
        ["function public.peek(): a function the login can call since, with the rights of postgres"]
    );
    assert_eq!(
        named("DROP FUNCTION public.peek(); ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app").await,
        ["default privileges of postgres in schema public: privilege SELECT on tables to app was added"]
    );
    // As cutover does: the same policy, for PUBLIC instead of the login or the other way round.
    assert_eq!(
        named("ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM app; ALTER POLICY bastide_tenant ON public.\"Notes\" TO app").await,
        ["public.\"Notes\": policy bastide_tenant was changed"]
    );
    assert_eq!(named("ALTER POLICY bastide_tenant ON public.\"Notes\" TO PUBLIC").await, [""; 0]);
}

#[tokio::test]
async fn a_new_table_with_rows_of_tenants_stops_the_server_once_the_login_is_let_in() {
    let mut served = Served::begin().await;
    // Without a grant the login cannot reach it, so neither can a tenant.
    let round = served.after("CREATE TABLE public.copied AS SELECT * FROM public.\"Notes\"").await;
    assert_eq!((round.standing(), drift(&round)), (Standing::Isolated, Vec::new()), "{round:?}");
    served.database.execute("DROP TABLE public.copied; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app").await;
    let by_default =
        "default privileges of postgres in schema public: privilege SELECT on tables to app was added";
    for (make, name, mend) in [
        (
            "CREATE TABLE public.copied AS SELECT * FROM public.\"Notes\"",
            "copied",
            "DROP TABLE public.copied",
        ),
        (
            "CREATE TABLE public.said (note bigint REFERENCES public.\"Notes\", what text)",
            "said",
            "DROP TABLE public.said",
        ),
        (
            "CREATE TABLE public.later (tenant_id integer) PARTITION BY LIST (tenant_id); CREATE TABLE public.ones PARTITION OF public.later DEFAULT; REVOKE ALL ON public.ones FROM app",
            "later",
            "ALTER TABLE public.later ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        ),
    ] {
        let round = served.breached(make, &["posture"], mend).await;
        let what = "a table with rows of tenants the login can reach since, and row-level security does not bind it there";
        assert_eq!(drift(&round), [format!("public.{name}: {what}"), by_default.to_owned()]);
    }
    // So does one that was open before the server, once it is told whose its rows are.
    served.database.execute("CREATE TABLE public.rates (code text)").await;
    served.watch = Watch::new(&served.pool);
    assert_eq!(served.watch.look().await.standing(), Standing::Isolated);
    let tell = "ALTER TABLE public.rates ADD tenant_id integer";
    let round = served.breached(tell, &["posture"], "ALTER TABLE public.rates DROP tenant_id").await;
    assert_eq!(drift(&round), ["public.rates: it holds rows of tenants since"]);
    // The name of the tenant column alone is no sign where it is of another kind.
    let round = served.after("CREATE TABLE public.plain (tenant_id text, id integer)").await;
    assert_eq!((round.standing(), round.shut), (Standing::Isolated, false), "{round:?}");
}

#[tokio::test]
async fn what_the_event_trigger_noted_since_is_told() {
    let mut served = Served::begin().await;
    let noted = served.after("CREATE FUNCTION bastide.ddl_since(after bigint) RETURNS TABLE (id bigint, at timestamptz, login text, run text, command text, object text) \
        LANGUAGE sql STABLE AS $$ SELECT 8::bigint, now(), 'ops', NULL, 'ALTER TABLE', 'table public.\"Notes\"' WHERE 8 > after $$").await;
    assert_eq!(noted.changes.len(), 1, "{noted:?}");
    assert_eq!((noted.changes[0].login.as_str(), noted.changes[0].command.as_str()), ("ops", "ALTER TABLE"));
    assert_eq!(served.watch.look().await.changes, [], "once");
}

#[tokio::test]
async fn without_canaries_nothing_is_proved_and_nothing_stopped() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(2)).await;
    let mut watch = Watch::new(&pool);
    let round = watch.look().await;
    assert_eq!((round.standing(), round.shut), (Standing::Unproved, false));
    let last = round.probes.last().unwrap();
    assert_eq!(last.name, "canary");
    assert!(
        matches!(&last.outcome, Outcome::Untested(why) if why.contains("migrations/0003_watch")),
        "{last:?}"
    );
    // Canaries without rows show nothing either.
    database.execute(CANARIES).await;
    database.execute("DELETE FROM public.\"Notes\" WHERE tenant_id > 100").await;
    let round = watch.look().await;
    assert_eq!(round.standing(), Standing::Unproved, "{round:?}");
    // The posture alone still stops the server, and lets it go on.
    database.execute("ALTER TABLE public.\"Notes\" DISABLE ROW LEVEL SECURITY").await;
    assert!(watch.look().await.shut);
    database.execute("ALTER TABLE public.\"Notes\" ENABLE ROW LEVEL SECURITY").await;
    assert!(!watch.look().await.shut);
}

#[tokio::test]
async fn a_database_that_is_away_neither_stops_nor_clears_anything() {
    let Served { _server: server, database, pool, mut watch } = Served::begin().await;
    database.execute("CREATE POLICY support ON public.\"Notes\" USING (true)").await;
    assert!(watch.look().await.shut);
    database.execute("DROP POLICY support ON public.\"Notes\"; ALTER ROLE app NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'").await;
    let away = watch.look().await;
    assert_eq!((away.standing(), away.shut, away.drift), (Standing::Unproved, true, None));
    assert!(
        away.probes.iter().all(|probe| matches!(probe.outcome, Outcome::Untested(_))),
        "{:?}",
        away.probes
    );
    database.execute("ALTER ROLE app LOGIN").await;
    let back = watch.look().await;
    assert_eq!((back.standing(), back.shut), (Standing::Isolated, false), "{back:?}");
    drop((server, pool));
}
