//! Through a real PgBouncer in transaction mode: the same cells, the same answers.

use bastide_connect::Target;
use bastide_testkit::{Database, PgBouncer};
use bastide_verify::{App, Cell, Context, Options, Probe, verify};

use super::{PASSWORD, not_held, open, sound, verdict};

fn through(pooler: &PgBouncer, db: &Database) -> Target {
    Target::parse(&pooler.url(db)).unwrap()
}

#[tokio::test]
async fn through_a_pooler_nothing_is_untested_that_was_not_before() {
    let (server, db) = sound().await;
    let direct = verdict(&db, Options::default()).await;
    assert!(!direct.pooler);
    let pooler = PgBouncer::before(&server, "bastide_app", PASSWORD);
    let login = through(&pooler, &db);
    // Twice: what the first leaves in the pooler's connections must not be in the second's way.
    for _ in 0..2 {
        let mut owner = db.client().await;
        let pooled = verify(&mut owner, App::Login(&login), Options::default()).await.unwrap();
        assert!(pooled.pooler && pooled.own_login);
        assert_eq!(not_held(&pooled), Vec::<&Probe>::new());
        assert!(pooled.isolated(), "{:?}", open(&pooled));
        // Its sessions are anybody's: nobody discards them.
        let cells = |probes: &[Probe]| {
            let cells = probes.iter().map(|probe| probe.cell.clone());
            cells.filter(|cell| cell.context != Context::AfterDiscard).collect::<Vec<Cell>>()
        };
        assert_eq!(cells(&pooled.probes), cells(&direct.probes));
        assert!(pooled.probes.iter().all(|probe| probe.cell.context != Context::AfterDiscard));
    }
}

#[tokio::test]
async fn through_a_pooler_a_context_that_outlives_its_transaction_is_seen() {
    let (server, db) = sound().await;
    db.execute(
        "CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
         BEGIN ATOMIC SELECT set_config('bastide.tenant', v, false); END",
    )
    .await;
    let pooler = PgBouncer::before(&server, "bastide_app", PASSWORD);
    let login = through(&pooler, &db);
    let mut owner = db.client().await;
    let verdict = verify(&mut owner, App::Login(&login), Options::default()).await.unwrap();
    let returned = |probe: &&Probe| probe.cell.context.as_str() == "after_return";
    assert!(verdict.breaches().any(|probe| returned(&probe)), "{:?}", verdict.breaches().count());
}
