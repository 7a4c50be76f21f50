//! The watch beside the server: looks once a minute, remembers what it saw last, and tells metrics and operators.

use std::sync::{Mutex, PoisonError};

use bastide_tenancy::{Change, Drift, Outcome, Probe, Round, Standing, TenantPool, Watch};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{
    ToSchema,
    openapi::{
        Array, ArrayBuilder, ObjectBuilder,
        schema::{SchemaType, Type},
    },
};

use crate::telemetry::Telemetry;

pub(crate) struct Lookout {
    /// One look at a time.
    watch: tokio::sync::Mutex<Watch>,
    seen: Mutex<Seen>,
}

/// What operators are told.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Seen {
    /// None before the first look.
    #[schema(value_type = Option<String>)]
    standing: Option<Standing>,
    /// Whether tenants' requests are served.
    serving: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    looked_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    last_success_at: Option<OffsetDateTime>,
    held: usize,
    #[schema(schema_with = probes)]
    breached: Vec<Probe>,
    #[schema(schema_with = probes)]
    untested: Vec<Probe>,
    /// None when it could not be read.
    #[schema(value_type = Option<Vec<Object>>)]
    drift: Option<Vec<Drift>>,
    /// The newest that the event trigger noted since the server began, oldest first.
    #[schema(value_type = Vec<Object>)]
    changes: Vec<Change>,
}

/// The door's own types know nothing of documents.
fn probes() -> Array {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let maybe = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    let probe = ObjectBuilder::new()
        .property("name", text())
        .property("object", maybe)
        .property("result", text().enum_values(Some(["held", "breached", "untested"])))
        .property("why", text());
    ArrayBuilder::new().items(probe.required("name").required("object").required("result")).build()
}

/// Of what the event trigger noted, so many are told.
const CHANGES: usize = 50;

impl Lookout {
    pub(crate) fn new(pool: &TenantPool) -> Self {
        let seen = Seen { serving: true, ..Seen::default() };
        Self { watch: tokio::sync::Mutex::new(Watch::new(pool)), seen: Mutex::new(seen) }
    }

    pub(crate) async fn look(&self, telemetry: &Telemetry) -> Standing {
        let mut watch = self.watch.lock().await;
        let round = watch.look().await;
        let now = OffsetDateTime::now_utc();
        #[expect(clippy::cast_precision_loss, reason = "a time in seconds is far below 2^52")]
        telemetry.looked(&round, now.unix_timestamp() as f64);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *seen);
        *seen = Seen::after(round, now, &before);
        seen.log(&before);
        seen.standing.unwrap_or(Standing::Unproved)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seen {
    fn after(round: Round, now: OffsetDateTime, before: &Self) -> Self {
        let standing = round.standing();
        let success = standing == Standing::Isolated && !round.shut;
        let mut changes = [&before.changes[..], &round.changes[..]].concat();
        changes.drain(..changes.len().saturating_sub(CHANGES));
        let (mut breached, mut untested, mut held) = (Vec::new(), Vec::new(), 0);
        for probe in round.probes {
            match probe.outcome {
                Outcome::Held => held += 1,
                Outcome::Breached(_) => breached.push(probe),
                Outcome::Untested(_) => untested.push(probe),
            }
        }
        Self {
            standing: Some(standing),
            serving: !round.shut,
            looked_at: Some(now),
            last_success_at: if success { Some(now) } else { before.last_success_at },
            held,
            breached,
            untested,
            drift: round.drift,
            changes,
        }
    }

    /// What is new since the last look, and a breach each time.
    fn log(&self, before: &Self) {
        for probe in &self.breached {
            let Outcome::Breached(why) = &probe.outcome else { continue };
            let object = probe.object.as_deref().unwrap_or_default();
            tracing::error!(probe = probe.name, object, %why, "isolation is breached");
        }
        for drift in self.drift.iter().flatten() {
            if !before.drift.iter().flatten().any(|known| known == drift) {
                tracing::warn!(object = %drift.object, change = %drift.change, "not as it was when the server began");
            }
        }
        if self.serving != before.serving {
            if self.serving {
                tracing::warn!("tenants are kept apart again: serving");
            } else {
                tracing::error!("nothing is served until tenants are kept apart again");
            }
        }
        if self.standing == Some(Standing::Unproved) && before.standing != self.standing {
            let why = self.untested.iter().map(|probe| format!("{}: {:?}", probe.name, probe.outcome)).next();
            tracing::warn!(
                why = why.as_deref().unwrap_or_default(),
                "isolation could not be proved this time"
            );
        }
    }
}
