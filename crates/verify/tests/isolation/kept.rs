//! Each table and view that a run makes in schema `bastide`, opened to the application: the list is the database's own, so
//! that a new one needs no line here to be tried.

use bastide_testkit::Database;
use bastide_verify::Options;

use super::{open, sound, verdict};

/// What the application is meant to read; writing it is another matter.
const MEANT: &str = "scoped_tables";

async fn relations(db: &Database) -> Vec<String> {
    let names = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
        WHERE relnamespace = 'bastide'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')";
    db.query_one_text(names).await.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn every_table_that_bastide_keeps_is_missed_when_it_is_opened() {
    let (_server, db) = sound().await;
    let relations = relations(&db).await;
    let known =
        ["assigned", "assigned_keyless", "assigned_tenant", "assignment", "changed", "given", "held", MEANT];
    for name in known {
        assert!(relations.iter().any(|relation| relation == name), "{name} among {relations:?}");
    }
    let mut missed = Vec::new();
    // Reading is probed; that a write would get through is for the finding alone.
    for (privilege, to, probed) in [("SELECT", "PUBLIC", true), ("INSERT", "bastide_app", false)] {
        let opened: Vec<&String> =
            relations.iter().filter(|name| privilege != "SELECT" || *name != MEANT).collect();
        for name in &opened {
            db.execute(&format!("GRANT {privilege} ON bastide.{name} TO {to}")).await;
        }
        let verdict = verdict(&db, Options::default()).await;
        for name in &opened {
            db.execute(&format!("REVOKE {privilege} ON bastide.{name} FROM {to}")).await;
            let object = format!("bastide.{name}");
            let found =
                open(&verdict).iter().any(|finding| finding.id == "BST-047" && finding.object == object);
            let breached = verdict.breaches().any(|probe| probe.cell.object == object);
            if !found || breached != probed {
                missed.push(format!("{privilege} on {object} to {to}: found: {found}; breached: {breached}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(verdict(&db, Options::default()).await.isolated(), "all of it was taken back");
}
