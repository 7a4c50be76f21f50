//! Says a session's units round by round and notes what came of each statement.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bastide_testkit::Database;
use futures_util::SinkExt;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::script::{Said, Session, Unit};

/// What each statement of a unit ended with: rows, or its SQLSTATE. Of a round in which the unit went otherwise than in
/// the first, there are several.
pub(super) type Outcomes = BTreeMap<(String, String), BTreeMap<Vec<String>, u32>>;

#[derive(Default)]
pub(super) struct Played {
    pub(super) outcomes: Outcomes,
    pub(super) rounds: u32,
    /// Prepared `SELECT *` that had to be prepared again, with how often.
    pub(super) prepared_again: BTreeMap<String, u32>,
    /// Transactions with a snapshot of their own that were said again after a 40001.
    pub(super) retried: u32,
}

/// A session under way; it says on as long as it may.
pub(super) struct Player {
    session: Session,
    client: Client,
    merchant: String,
    pub(super) played: Played,
    round: u32,
}

impl Player {
    pub(super) async fn new(db: &Database, session: Session, merchant: &str) -> Self {
        let client = db.client_as(&session.login, &session.login).await;
        for said in &session.once {
            client.batch_execute(said.text()).await.unwrap();
        }
        Self { session, client, merchant: merchant.to_owned(), played: Played::default(), round: 0 }
    }

    pub(super) async fn rounds(mut self, rounds: u32) -> Self {
        for _ in 0..rounds {
            self.round().await;
        }
        self
    }

    /// Until told to stop, and once more afterwards.
    pub(super) async fn until(mut self, stop: Arc<AtomicBool>) -> Self {
        while !stop.load(Ordering::SeqCst) {
            self.round().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.round().await;
        self
    }

    async fn round(&mut self) {
        self.round += 1;
        self.played.rounds += 1;
        let (units, round) = (self.session.units.clone(), self.round);
        for unit in units.iter().filter(|unit| round.is_multiple_of(unit.every)) {
            let outcome = self.unit(unit).await;
            let place = (self.session.name.clone(), unit.name.clone());
            *self.played.outcomes.entry(place).or_default().entry(outcome).or_default() += 1;
        }
    }

    /// Said again after what its client has to expect: a prepared statement whose columns changed, a snapshot that is stale.
    async fn unit(&mut self, unit: &Unit) -> Vec<String> {
        for _ in 0..20 {
            let (outcome, changed) = self.once(unit).await;
            if let Some(name) = changed {
                let prepared = self.session.once.iter().find(|said| said.text().contains(&name)).unwrap();
                let again = format!("DEALLOCATE {name}; {}", prepared.text());
                self.client.batch_execute(&again).await.unwrap();
                *self.played.prepared_again.entry(name).or_default() += 1;
            } else if unit.is_a_snapshot() && outcome.iter().any(|said| said == "40001") {
                self.played.retried += 1;
            } else {
                return outcome;
            }
        }
        panic!("{} of {} never came through", unit.name, self.session.name)
    }

    /// Every statement goes on after an error, as in psql. With the prepared `SELECT *` that failed because of its columns.
    async fn once(&self, unit: &Unit) -> (Vec<String>, Option<String>) {
        let (mut outcome, mut changed) = (Vec::new(), None);
        for said in &unit.statements {
            let text = self.filled(said.text());
            let done = match said {
                Said::Statement(_) => self.client.simple_query(&text).await.map(|rows| shown(&text, &rows)),
                Said::Copy { data, .. } => self.copy(&text, self.filled(data)).await,
            };
            outcome.push(done.unwrap_or_else(|error| {
                let state = error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned());
                if state == "0A000" && text.starts_with("EXECUTE star_") {
                    changed = text.split(['(', ' ']).nth(1).map(ToOwned::to_owned);
                }
                state
            }));
        }
        // What an error left open must not reach the next unit.
        self.client.batch_execute("ROLLBACK").await.unwrap();
        (outcome, changed)
    }

    async fn copy(&self, statement: &str, data: String) -> Result<String, Error> {
        let sink = self.client.copy_in(statement).await?;
        let mut sink = Box::pin(sink);
        sink.send(std::io::Cursor::new(data.into_bytes())).await?;
        Ok(format!("COPY {}", sink.as_mut().finish().await?))
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{n}", &self.round.to_string()).replace("{merchant}", &self.merchant)
    }
}

/// The rows; of `SELECT *`, whose columns may change, only their number.
fn shown(statement: &str, messages: &[SimpleQueryMessage]) -> String {
    let counted = statement.starts_with("EXECUTE");
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect::<Vec<_>>().join(","))
        }
        _ => None,
    });
    let rows: Vec<String> = rows.collect();
    let number = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::CommandComplete(number) => Some(*number),
        _ => None,
    });
    let number = number.unwrap_or_default();
    if counted || rows.is_empty() { number.to_string() } else { rows.join(" ") }
}
