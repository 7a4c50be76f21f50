//! The whole way: plan, migrate, validate, legacy writes, cutover, validate, rollback; before and after must be the same,
//! byte for byte.

use bastide_testkit::{Database, diff};

use crate::bastide::Bastide;

/// What the legacy application does between migration and cutover. Rollback keeps its rows.
#[derive(Clone, Copy)]
pub(crate) struct Meanwhile<'a> {
    /// Its login, with the same word as its password.
    pub(crate) login: &'a str,
    pub(crate) writes: &'a str,
    /// Queries and their answers once it wrote: the tenants its rows got.
    pub(crate) settled: &'a [(&'a str, &'a str)],
    /// Queries and their answers after cutover, as superuser: what tenant-wide keys do.
    pub(crate) cut_over: &'a [(&'a str, &'a str)],
    /// Takes back what it wrote, after rollback, so that fingerprints can be compared; a query that counts is first, and
    /// must say 0 before it wrote and more than that after rollback.
    pub(crate) written: &'a str,
    pub(crate) unwrite: &'a str,
}

pub(crate) async fn there_and_back(db: &Database, arguments: &[&str]) {
    travel(db, arguments, None).await;
}

pub(crate) async fn there_and_back_with_writes(db: &Database, arguments: &[&str], meanwhile: Meanwhile<'_>) {
    travel(db, arguments, Some(meanwhile)).await;
}

async fn travel(db: &Database, arguments: &[&str], meanwhile: Option<Meanwhile<'_>>) {
    let (dump, columns) = (db.schema_dump().await, db.columns().await);
    let rows = db.fingerprints_of(&columns).await;
    let bastide = Bastide::on(db.url());
    let planned = [&["rls", "plan", "--accept-defaults"], arguments].concat();
    let plan = bastide.path().join("plan.toml");
    if bastide.run(&planned).code == 2 {
        // The only questions that no default answers here: keys that stay global.
        let text = std::fs::read_to_string(&plan).unwrap_or_default();
        std::fs::write(&plan, text.replace("answer = \"\"", "answer = \"keep\"")).unwrap();
        bastide.run(&planned).expect(0);
    }
    assert_eq!(db.schema_dump().await, dump, "planning changes nothing");

    bastide.run(&["rls", "migrate", "--yes", "--plan", plan.to_str().unwrap()]).expect(0);
    assert_ne!(db.schema_dump().await, dump);
    if let Some(Meanwhile { login, writes, settled, written, .. }) = meanwhile {
        assert_eq!(db.query_one_text(written).await, "0", "nothing is written yet");
        let client = db.client_as(login, login).await;
        let done = client.batch_execute(writes).await;
        done.unwrap_or_else(|error| panic!("a legacy write failed: {:?}", error.as_db_error()));
        for (query, answer) in settled {
            assert_eq!(db.query_one_text(query).await, *answer, "{query}");
        }
    }
    isolated(&bastide, "pending cutover");
    bastide.run(&["legacy", "validate"]).expect(0);
    bastide.run(&["rls", "cutover", "--watch", "0", "--in-use", "--yes"]).expect(0);
    isolated(&bastide, "cut over");
    bastide.run(&["legacy", "validate"]).expect(0);
    for (query, answer) in meanwhile.iter().flat_map(|meanwhile| meanwhile.cut_over) {
        assert_eq!(db.query_one_text(query).await, *answer, "{query}");
    }
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);

    assert_eq!(db.schema_dump().await, dump, "the schema is as it was");
    if let Some(Meanwhile { written, unwrite, .. }) = meanwhile {
        assert_ne!(db.query_one_text(written).await, "0", "rows written meanwhile are kept");
        db.execute(unwrite).await;
    }
    let after = db.fingerprints_of(&columns).await;
    assert_eq!(after, rows, "{}", diff(&rows, &after));
    let roles = "SELECT count(*)::text FROM pg_roles WHERE rolname IN ('bastide_app', 'bastide_owner')";
    assert_eq!(db.query_one_text(roles).await, "0", "the run's roles are gone");
}

#[track_caller]
fn isolated(bastide: &Bastide, when: &str) {
    let ran = bastide.run(&["rls", "validate", "--format", "json"]);
    let verdict = ran.json();
    let open: Vec<_> = verdict["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] != "info" && finding["pending_cutover"] == false)
        .collect();
    assert!(open.is_empty(), "{when}: {open:#?}");
    let probes = verdict["probes"].as_array().unwrap();
    let breached: Vec<_> = probes.iter().filter(|probe| probe["outcome"] == "breached").collect();
    assert!(breached.is_empty(), "{when}: {breached:#?}");
    assert!(verdict["own_login"].as_bool().unwrap());
    assert!(probes.iter().any(|probe| probe["outcome"] == "held"), "{when}: something held");
    ran.expect(0);
}
