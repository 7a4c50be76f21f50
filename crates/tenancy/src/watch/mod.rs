//! The watch of a running server: through the serving pool and as the serving login, is every tenant still kept apart?
//!
//! A [`Watch`] looks three ways each time: [`bound`](crate::bound) again, the posture compared with the first one it read, and
//! the attempts of the canary, two tenants that the platform keeps for this. What it learns decides whether the pool lends: a breach
//! shuts the gate, and only the very probes that were breached, held again, open it. What could not be looked at is *untested*; it neither
//! shuts nor opens.

mod canary;
mod ddl;
mod posture;

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;

pub use ddl::Change;
pub use posture::Drift;

use crate::{Error, TenantPool, gate::Gate, pool::within};
use posture::Posture;

/// For one look, so that a database that does not answer cannot keep the next look waiting.
const LIMIT: Duration = Duration::from_secs(45);

pub struct Watch {
    /// Lends when the gate is shut, too: somebody has to see that it may be opened again.
    pool: TenantPool,
    gate: Gate,
    first: Option<Posture>,
    notes: ddl::Notes,
    breached: BTreeSet<(&'static str, Option<String>)>,
}

/// What one look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    pub probes: Vec<Probe>,
    /// What is not as it was at the first look. None when that could not be read.
    pub drift: Option<Vec<Drift>>,
    /// Statements that changed the schema since the look before, where the event trigger notes them.
    pub changes: Vec<Change>,
    /// Whether tenants' requests are refused from now on.
    pub shut: bool,
}

/// One attempt, or one thing read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    pub name: &'static str,
    /// Of a table's probe, the table.
    pub object: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Whether what a breach of it showed is seen not to be there: an empty table can be no proof, and still be seen to show nothing.
    #[serde(skip)]
    mended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "why", rename_all = "snake_case")]
pub enum Outcome {
    Held,
    Breached(String),
    Untested(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Isolated,
    Breached,
    /// Nothing was breached, and not enough was seen to hold.
    Unproved,
}

impl Watch {
    #[must_use]
    pub fn new(pool: &TenantPool) -> Self {
        let (pool, gate) = pool.beside_the_gate();
        Self { pool, gate, first: None, notes: ddl::Notes::default(), breached: BTreeSet::new() }
    }

    /// Looks once. What goes wrong on the way is in the round, as *untested*.
    pub async fn look(&mut self) -> Round {
        let mut probes = Vec::new();
        let mut drift = None;
        let looked = within(LIMIT, self.look_into(&mut probes, &mut drift)).await;
        if let Err(error) = looked {
            probes.push(Probe::new("look", None, Outcome::Untested(error.to_string())));
        }
        self.settle(&probes);
        // They explain drift and prove nothing: without them a look is as good.
        let changes = within(LIMIT, self.notes.news(&self.pool)).await.unwrap_or_default();
        Round { probes, drift, changes, shut: self.gate.is_shut() }
    }

    async fn look_into(
        &mut self,
        probes: &mut Vec<Probe>,
        drift: &mut Option<Vec<Drift>>,
    ) -> Result<(), Error> {
        probes.push(Probe::new("bound", None, verdict(self.pool.check_bound().await)));
        let (outcome, found) = self.posture().await;
        probes.push(Probe::new("posture", None, outcome));
        *drift = found;
        canary::attempt(&self.pool, probes).await
    }

    async fn posture(&mut self) -> (Outcome, Option<Vec<Drift>>) {
        let now = match self.read_posture().await {
            Ok(now) => now,
            Err(error) => return (Outcome::Untested(error.to_string()), None),
        };
        let drift = now.drift(self.first.get_or_insert_with(|| now.clone()));
        let worst: Vec<_> = drift.iter().filter(|drift| drift.unbinds).map(ToString::to_string).collect();
        let outcome = if worst.is_empty() { Outcome::Held } else { Outcome::Breached(worst.join("; ")) };
        (outcome, Some(drift))
    }

    async fn read_posture(&self) -> Result<Posture, Error> {
        let lease = self.pool.lease(None).await?;
        let posture = Posture::read(&lease).await?;
        lease.settle();
        Ok(posture)
    }

    /// Shuts at a breach. Opens when what was breached is seen mended, or is no longer there while the rest of its kind holds.
    fn settle(&mut self, probes: &[Probe]) {
        for probe in probes {
            let key = (probe.name, probe.object.clone());
            if matches!(probe.outcome, Outcome::Breached(_)) {
                self.breached.insert(key);
            } else if probe.mended {
                self.breached.remove(&key);
            }
        }
        self.breached.retain(|(name, object)| {
            let there = |probe: &&Probe| probe.name == *name && probe.object == *object;
            probes.iter().any(|probe| there(&probe))
                || !probes.iter().any(|probe| probe.name == *name && probe.outcome == Outcome::Held)
        });
        self.gate.shut(!self.breached.is_empty());
    }
}

impl Round {
    /// *Isolated* takes more than no breach: the login bound, the posture as it was, and canaries that see themselves and not each other.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let held = |name| {
            let mut of_name = self.probes.iter().filter(|probe| probe.name == name).peekable();
            of_name.peek().is_some() && of_name.any(|probe| probe.outcome == Outcome::Held)
        };
        if self.probes.iter().any(|probe| matches!(probe.outcome, Outcome::Breached(_))) {
            Standing::Breached
        } else if ["bound", "posture", "read_other", "read_unset"].into_iter().all(held) {
            Standing::Isolated
        } else {
            Standing::Unproved
        }
    }
}

impl Probe {
    fn new(name: &'static str, object: Option<String>, outcome: Outcome) -> Self {
        let mended = outcome == Outcome::Held;
        Self { name, object, outcome, mended }
    }
}

fn verdict(bound: Result<(), Error>) -> Outcome {
    match bound {
        Ok(()) => Outcome::Held,
        Err(Error::Unbound(why)) => Outcome::Breached(why.to_string()),
        Err(error) => Outcome::Untested(error.to_string()),
    }
}
