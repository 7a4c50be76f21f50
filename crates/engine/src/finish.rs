//! The end of rollback: what was kept for it is discarded.

use std::collections::BTreeMap;

use bastide_connect::Target;
use bastide_plan::Phase;
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use serde::Serialize;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{
    EngineError, MigrationGuard, RunRecord, RunState, bootstrap, journal, message, read_run, run::wrong,
};

/// What finishing a run throws away.
#[derive(Clone, Debug, Serialize)]
pub struct Discarded {
    pub run: Uuid,
    /// Steps, with what undoes each.
    pub journal_entries: i64,
    /// Rows of which it is written down why they got their tenant.
    pub rows_with_evidence: i64,
    /// Values that settling links changed, with what they were before.
    pub changed_values: i64,
    /// Rows that are nowhere else in the database, by table.
    pub held_rows: BTreeMap<String, i64>,
    /// On disk, of the tables these are in; what older runs left there included.
    pub bytes: i64,
}

impl Discarded {
    #[must_use]
    pub fn held(&self) -> i64 {
        self.held_rows.values().sum()
    }
}

/// What [`finish`] would throw away of the newest run (or `id`). Takes no lock and changes nothing.
///
/// # Errors
/// [`EngineError::WrongState`] where `finish` would say so.
pub async fn discards(target: &Target, id: Option<Uuid>) -> Result<Discarded, EngineError> {
    let client = target.connect("bastide").await?;
    let (run, _) = read_run(&client, id).await?;
    is_cut_over(&run)?;
    let evidence = bootstrap::evidence(&client).await?;
    let has = |name: &str| evidence.iter().any(|table| table.as_str() == format!("bastide.{name}"));
    // Which tables there are depends on the Bastide that began the run.
    let mut with_evidence = Vec::new();
    if has("assigned") {
        with_evidence.push(sql!("SELECT sum(rows) AS n FROM bastide.assigned WHERE run_id = $1"));
    }
    for table in ["assigned_keyless", "assignment"] {
        if has(table) {
            let table = Ident::derived(table, "");
            with_evidence.push(sql!("SELECT count(*) FROM bastide.{} WHERE run_id = $1", table));
        }
    }
    let with_evidence = match with_evidence.is_empty() {
        true => 0,
        false => {
            let all = join(&with_evidence, " UNION ALL ");
            count(&client, &sql!("SELECT coalesce(sum(n), 0)::bigint FROM ({}) AS x (n)", all), run.id)
                .await?
        }
    };
    let journal = sql!("SELECT count(*) FROM bastide.journal WHERE run_id = $1");
    let changed = sql!("SELECT count(*) FROM bastide.changed WHERE run_id = $1 AND undone_at IS NULL");
    let there = client
        .query_one("SELECT to_regclass('bastide.changed') IS NOT NULL", &[])
        .await
        .and_then(|row| row.try_get::<_, bool>(0))
        .map_err(EngineError::server(COUNTING))?;
    let mut sizes = vec![sql!("bastide.journal"), sql!("bastide.held")];
    sizes.extend(evidence.iter().cloned());
    if there {
        sizes.push(sql!("bastide.changed"));
    }
    let names = join(sizes.iter().map(|table| Literal::text(table.as_str())), ", ");
    let size = sql!(
        "SELECT coalesce(sum(pg_total_relation_size(t::regclass)), 0)::bigint FROM unnest(ARRAY[{}]) AS t WHERE $1::uuid IS NOT NULL",
        names
    );
    let held =
        "SELECT relation, count(*) FROM bastide.held WHERE run_id = $1 AND restored_at IS NULL GROUP BY 1";
    let held = client.query(held, &[&run.id]).await.map_err(EngineError::server(COUNTING))?;
    let held_rows = held
        .iter()
        .map(|row| Ok((for_people(row.try_get(0)?), row.try_get(1)?)))
        .collect::<Result<_, tokio_postgres::Error>>()
        .map_err(EngineError::server(COUNTING))?;
    Ok(Discarded {
        run: run.id,
        journal_entries: count(&client, &journal, run.id).await?,
        rows_with_evidence: with_evidence,
        changed_values: if there { count(&client, &changed, run.id).await? } else { 0 },
        held_rows,
        bytes: count(&client, &size, run.id).await?,
    })
}

const COUNTING: &str = "counting what finishing discards";

async fn count(client: &Client, query: &Sql, run: Uuid) -> Result<i64, EngineError> {
    client
        .query_one(query.as_str(), &[&run])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server(COUNTING))
}

/// `bastide.held` has names quoted as in SQL.
fn for_people(relation: String) -> String {
    relation.parse::<QualifiedName>().map_or(relation, |name| name.to_string())
}

fn is_cut_over(run: &RunRecord) -> Result<(), EngineError> {
    match run.state {
        RunState::CutOver => Ok(()),
        RunState::PendingCutover => {
            Err(wrong(run, "the legacy login still reads everything; next is `bastide rls cutover`"))
        }
        RunState::Finished => Err(wrong(run, "there is nothing left to discard")),
        _ => Err(wrong(run, "only a run that is cut over can be finished")),
    }
}

/// Discards the journal, the evidence and the rows held aside of the newest run (or `id`), which must be cut over. The run's
/// own row stays, as history; the context functions and `bastide.scoped_tables` stay, because policies read them.
///
/// # Errors
/// [`EngineError::WrongState`] before cutover.
pub async fn finish(target: &Target, id: Option<Uuid>) -> Result<RunRecord, EngineError> {
    let mut guard = MigrationGuard::acquire(target).await?;
    let (run, _) = read_run(guard.client(), id).await?;
    is_cut_over(&run)?;
    guard.begin(run.id).await?;
    let evidence = bootstrap::evidence(guard.client()).await?;
    let mut message = vec![sql!("BEGIN")];
    let discarded = [sql!("bastide.journal"), sql!("bastide.held")];
    message.extend(
        evidence
            .iter()
            .chain(&discarded)
            .map(|table| sql!("DELETE FROM {} WHERE run_id = current_setting('bastide.run')::uuid", table)),
    );
    message.extend([
        // A run that an older binary began has no such table.
        sql!(
            "DO $$ BEGIN IF to_regclass('bastide.changed') IS NOT NULL THEN DELETE FROM bastide.changed WHERE run_id = current_setting('bastide.run')::uuid; END IF; END $$"
        ),
        sql!("UPDATE bastide.run SET before = NULL WHERE id = current_setting('bastide.run')::uuid"),
        sql!("COMMIT"),
    ]);
    guard
        .client()
        .batch_execute(&message::text(&message))
        .await
        .map_err(EngineError::server("discarding the journal"))?;
    // Of a large shop it is gigabytes, which nobody would come back for.
    let vacuum = sql!("VACUUM {}", join(&evidence, ", "));
    guard
        .client()
        .batch_execute(vacuum.as_str())
        .await
        .map_err(EngineError::server("giving back the room that the evidence took"))?;
    journal::run_is(guard.client(), run.id, RunState::Finished, Phase::Cutover, None).await?;
    Ok(read_run(guard.client(), Some(run.id)).await?.0)
}
