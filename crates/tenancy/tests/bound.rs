//! A login that row-level security does not bind is refused, each time with a sentence of its own.

mod notes;

use bastide_tenancy::{Error, TenantPool, Unbound};
use bastide_testkit::Database;
use notes::{pool, small};

async fn refusal(database: &Database, role: &str, password: &str) -> Unbound {
    match TenantPool::connect(&notes::target(database, role, password), small(1)).await {
        Err(Error::Unbound(why)) => why,
        other => panic!("{role} must be refused as unbound, not {other:?}"),
    }
}

#[tokio::test]
async fn the_application_login_is_bound() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    pool.check_bound().await.unwrap();
    pool.ping().await.unwrap();
}

#[tokio::test]
async fn superusers_and_their_like_are_refused() {
    let (_server, database) = notes::database().await;
    database
        .execute(
            "CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'x'; CREATE ROLE around BYPASSRLS LOGIN PASSWORD 'x'; \
             CREATE ROLE friend LOGIN PASSWORD 'x'; GRANT bastide_owner TO friend; \
             CREATE ROLE middle; GRANT around TO middle; CREATE ROLE far NOINHERIT LOGIN PASSWORD 'x'; GRANT middle TO far",
        )
        .await;
    assert_eq!(refusal(&database, "boss", "x").await, Unbound::Superuser("boss".to_owned()));
    assert_eq!(refusal(&database, "around", "x").await, Unbound::BypassRls("around".to_owned()));
    let member = |login: &str, role: &str| Unbound::Member { login: login.to_owned(), role: role.to_owned() };
    assert_eq!(refusal(&database, "friend", "x").await, member("friend", "bastide_owner"));
    assert_eq!(refusal(&database, "far", "x").await, member("far", "around"), "SET ROLE is enough");
}

#[tokio::test]
async fn owners_are_refused() {
    let (_server, database) = notes::database().await;
    database.execute("CREATE ROLE shop; ALTER TABLE public.\"Notes\" OWNER TO shop; GRANT shop TO app").await;
    let owner = Unbound::Owner {
        login: "app".to_owned(),
        table: "public.\"Notes\"".to_owned(),
        owner: "shop".to_owned(),
    };
    assert_eq!(refusal(&database, "app", "app").await, owner);
}

#[tokio::test]
async fn a_table_without_a_filter_is_found_by_the_probe() {
    let (_server, database) = notes::database().await;
    let running = pool(&database, small(1)).await;
    database.execute("ALTER TABLE public.\"Notes\" DISABLE ROW LEVEL SECURITY").await;
    let unfiltered = Unbound::Unfiltered { login: "app".to_owned(), table: "public.\"Notes\"".to_owned() };
    assert_eq!(refusal(&database, "app", "app").await, unfiltered);
    let again = running.check_bound().await;
    assert!(matches!(again, Err(Error::Unbound(why)) if why == unfiltered), "a running server notices, too");
}

#[tokio::test]
async fn a_login_that_may_not_read_the_list_is_compared_with_the_policies() {
    let (_server, database) = notes::database().await;
    database.execute("REVOKE SELECT ON bastide.scoped_tables FROM PUBLIC").await;
    pool(&database, small(1)).await.ping().await.unwrap();
    database.execute("ALTER TABLE public.\"Notes\" DISABLE ROW LEVEL SECURITY").await;
    let unfiltered = Unbound::Unfiltered { login: "app".to_owned(), table: "public.\"Notes\"".to_owned() };
    assert_eq!(refusal(&database, "app", "app").await, unfiltered);
}

#[tokio::test]
async fn a_preset_context_is_refused() {
    let (_server, database) = notes::database().await;
    database.execute("ALTER ROLE app SET bastide.tenant = '2'").await;
    assert_eq!(refusal(&database, "app", "app").await, Unbound::Preset { login: "app".to_owned() });
}

#[tokio::test]
async fn what_was_not_looked_at_proves_nothing() {
    let (server, database) = notes::database().await;
    database.execute("REVOKE ALL ON public.\"Notes\" FROM app").await;
    assert_eq!(refusal(&database, "app", "app").await, Unbound::NothingReached { login: "app".to_owned() });
    let empty = server.database("empty").await;
    assert_eq!(refusal(&empty, "app", "app").await, Unbound::NotMigrated { login: "app".to_owned() });
}
