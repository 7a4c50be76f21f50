//! The whole of verification on a real server: a sound database holds, each way of spoiling it is caught, and harmless
//! changes are not mistaken for one.

mod breaches;
mod decoys;
mod holes;
mod kept;
mod matrix;
mod pooler;
mod sealed;

use bastide_connect::Target;
use bastide_plan::{Step, steps::CreateContext};
use bastide_sql::{Ident, sql};
use bastide_testkit::{Database, Server};
use bastide_verify::{App, Cell, Finding, Options, Outcome, Path, Probe, Verdict, verify};

const PASSWORD: &str = "app";

/// A server with the roles and one sound database, `sound`.
async fn sound() -> (Server, Database) {
    let server = bastide_testkit::server().await;
    let db = server.database("sound").await;
    db.execute(
        "CREATE ROLE bastide_owner NOLOGIN BYPASSRLS; CREATE ROLE shop NOLOGIN; CREATE ROLE staff NOLOGIN;
         CREATE ROLE legacy LOGIN; CREATE ROLE bastide_app LOGIN PASSWORD 'app'",
    )
    .await;
    db.execute(include_str!("../../../engine/src/schema.sql")).await;
    let context = Step::CreateContext(CreateContext { root_type: sql!("uuid") }).forward();
    for statement in context.statements {
        db.execute(statement.as_str()).await;
    }
    db.execute(include_str!("sound.sql")).await;
    (server, db)
}

async fn verdict(db: &Database, options: Options<'_>) -> Verdict {
    let target = Target::parse(&db.url_as("bastide_app", PASSWORD)).unwrap();
    let mut owner = db.client().await;
    verify(&mut owner, App::Login(&target), options).await.unwrap()
}

fn open(verdict: &Verdict) -> Vec<&Finding> {
    verdict.open_findings().collect()
}

fn not_held(verdict: &Verdict) -> Vec<&Probe> {
    verdict.probes.iter().filter(|probe| probe.outcome != Outcome::Held).collect()
}

/// By the object's own path: a table's, not that of a statement prepared on it.
fn held(verdict: &Verdict, object: &str, verb: &str, context: &str) -> bool {
    let wanted = |probe: &&Probe| {
        let Cell { object: of, path, verb: by, context: within } = &probe.cell;
        of == object
            && by.as_str() == verb
            && within.as_str() == context
            && !matches!(path, Path::Prepared | Path::Cursor | Path::ScrollCursor | Path::HeldCursor)
    };
    let found: Vec<_> = verdict.probes.iter().filter(wanted).collect();
    assert_eq!(found.len(), 1, "{verb} of {object}, context {context}: {found:?}");
    found[0].outcome == Outcome::Held
}

#[tokio::test]
async fn a_sound_database_holds() {
    let (_server, db) = sound().await;
    let before = db.fingerprints().await;
    let verdict = verdict(&db, Options::default()).await;
    assert_eq!(open(&verdict), Vec::<&Finding>::new());
    assert!(verdict.isolated() && verdict.own_login);
    assert_eq!((verdict.app_role.as_str(), verdict.scoped_tables), ("bastide_app", 9));
    assert_eq!(not_held(&verdict), Vec::<&Probe>::new());
    for verb in ["update", "delete", "insert", "move", "select"] {
        assert!(held(&verdict, r#"public."Order Lines""#, verb, "other"), "{verb}");
    }
    for (object, verb, context) in [
        ("public.orders", "zero_row", "unset"),
        ("public.orders", "select", "malformed"),
        ("public.orders", "copy_in", "unset"),
        ("public.orders", "copy_out", "unset"),
        ("public.orders", "truncate", "unset"),
        ("public.drafts", "zero_row", "unset"),
        ("public.drafts", "select", "unset"),
        ("public.totals", "zero_row", "unset"),
        ("public.turnover", "select", "unset"),
        ("public.countries", "select", "unset"),
        ("public.secrets", "closed", "unset"),
        ("public.sales", "closed", "unset"),
        ("public.events_2026", "closed", "unset"),
        ("bastide.assignment", "closed", "unset"),
        ("bastide.assigned", "closed", "unset"),
        ("bastide_app", "preset", "unset"),
    ] {
        assert!(held(&verdict, object, verb, context), "{object} {verb} {context}");
    }
    let counted =
        verdict.probes.iter().find(|p| p.cell.object == "public.orders" && p.cell.context.as_str() == "own");
    assert_eq!(counted.unwrap().control, "as that tenant it sees 4 rows, as many as the owner counts");
    assert_eq!(db.fingerprints().await, before, "verification wrote something");
}

#[tokio::test]
async fn by_set_role_it_holds_too_and_says_that_this_is_weaker() {
    let (_server, db) = sound().await;
    let mut owner = db.client().await;
    // A session of the engine's, which reads everything or nothing.
    owner.batch_execute("SET row_security = off").await.unwrap();
    let role = Ident::constant("bastide_app");
    let verdict = verify(&mut owner, App::SetRole(&role), Options::default()).await.unwrap();
    assert!(verdict.isolated(), "{:?} {:?}", open(&verdict), verdict.breaches().collect::<Vec<_>>());
    assert!(!verdict.own_login);
    assert_eq!(not_held(&verdict), Vec::<&Probe>::new());
}

#[tokio::test]
async fn in_production_nothing_is_written_and_no_object_is_left_out() {
    let (_server, db) = sound().await;
    let verdict = verdict(&db, Options { production: true, progress: None }).await;
    assert!(verdict.isolated(), "{:?} {:?}", open(&verdict), verdict.breaches().collect::<Vec<_>>());
    let reads = ["zero_row", "select", "copy_out", "truncate", "closed", "preset", "execute"];
    assert!(verdict.probes.iter().all(|probe| reads.contains(&probe.cell.verb.as_str())));
    assert!(
        held(&verdict, "public.orders", "zero_row", "unset")
            && held(&verdict, "public.orders", "select", "unset")
    );
}

#[tokio::test]
async fn a_scope_that_names_nothing_is_not_isolated() {
    let (_server, db) = sound().await;
    db.execute("DELETE FROM bastide.scope").await;
    let verdict = verdict(&db, Options::default()).await;
    assert!(!verdict.isolated());
    assert!(open(&verdict).iter().any(|finding| finding.id == "BST-008"));
}

#[tokio::test]
async fn what_cannot_be_verified_says_why() {
    let (server, db) = sound().await;
    let role = Ident::constant("bastide_app");
    let empty = server.database("empty").await;
    let error = verify(&mut empty.client().await, App::SetRole(&role), Options::default()).await.unwrap_err();
    assert!(error.to_string().contains("bastide rls plan"), "{error}");
    let nobody = Ident::constant("nobody_here");
    let error = verify(&mut db.client().await, App::SetRole(&nobody), Options::default()).await.unwrap_err();
    assert!(error.to_string().contains("nobody_here"), "{error}");
    let mut filtered = db.client_as("bastide_app", PASSWORD).await;
    let error = verify(&mut filtered, App::SetRole(&role), Options::default()).await.unwrap_err();
    assert!(error.to_string().contains("BYPASSRLS"), "{error}");
}
