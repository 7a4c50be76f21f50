//! What a run would have: schema `bastide` and a run's row.

use bastide_plan::inference::prelude;
use bastide_testkit::Database;
use tokio_postgres::Client;

pub(crate) const RUN: &str = "00000000-0000-0000-0000-000000000001";

pub(crate) async fn bootstrap(db: &Database) {
    db.execute(
        "DO $$ BEGIN IF to_regrole('bastide_owner') IS NULL THEN CREATE ROLE bastide_owner NOLOGIN BYPASSRLS; END IF; END $$",
    )
    .await;
    db.execute(include_str!("../../../engine/src/schema.sql")).await;
    db.execute(
        "INSERT INTO bastide.run (id, format, bastide, state, phase, plan)
         VALUES ('00000000-0000-0000-0000-000000000001', 1, 'test', 'running', 'assignment', '{}')",
    )
    .await;
}

/// Opens a transaction in which scripts of inference can run.
pub(crate) async fn begin(client: &Client) {
    let settings = prelude().into_iter().map(|setting| format!("{setting};")).collect::<String>();
    let begin = format!("BEGIN; {settings} SET LOCAL bastide.run = '{RUN}'");
    client.batch_execute(&begin).await.unwrap_or_else(|error| panic!("{error:?}"));
}
