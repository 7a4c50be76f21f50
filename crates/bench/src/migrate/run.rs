//! The migration, through the engine: what it does is told to the timeline, what it costs is kept.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use bastide_connect::Target;
use bastide_engine::{
    BackupChoice, Event, MigrateOptions, OnFailure, Patience, Place, StepOutcome, cutover, make_plan,
    migrate, rollback, without_backup,
};
use bastide_plan::{Config, Declarations, Phase, RootChoice};
use bastide_sql::{Ident, LockMode};

use super::{shop::PASSWORD, timeline::Timeline};
use crate::server::Bench;

/// One step, forward or undone.
#[derive(Clone, Debug)]
pub(super) struct StepCost {
    pub(super) step: String,
    pub(super) lock: Option<LockMode>,
    /// Milliseconds.
    pub(super) held: f64,
    pub(super) attempts: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Costs {
    pub(super) steps: Vec<StepCost>,
    /// Seconds of batches, both passes, pauses included.
    pub(super) fill: f64,
    pub(super) rows: u64,
    pub(super) batches: u64,
}

impl Costs {
    pub(super) fn rate(&self) -> f64 {
        self.rows as f64 / self.fill
    }

    /// The longest a table was closed to writers.
    pub(super) fn longest_lock(&self) -> Option<&StepCost> {
        let blocking = self.steps.iter().filter(|cost| cost.lock.is_some_and(LockMode::blocks_writers));
        blocking.max_by(|a, b| a.held.total_cmp(&b.held))
    }

    /// The longest a batch kept its rows.
    pub(super) fn longest_batch(&self) -> f64 {
        let fills = self.steps.iter().filter(|cost| kind(&cost.step) == FILL);
        fills.map(|cost| cost.held).fold(0.0, f64::max)
    }
}

const FILL: &str = "backfill";

/// `backfill` of `backfill:public.orders.tenant_id:1`.
fn kind(step: &str) -> &str {
    step.split(':').next().unwrap_or(step)
}

pub(super) struct Migration {
    place: Place,
    timeline: Arc<Timeline>,
    costs: Mutex<Costs>,
}

impl Migration {
    pub(super) fn of(bench: &Bench, target: &Target, timeline: Arc<Timeline>) -> Self {
        let state_dir = bench.state().to_owned();
        let place = Place { target: target.clone(), app: None, state_dir, patience: Patience::default() };
        Self { place, timeline, costs: Mutex::default() }
    }

    pub(super) fn costs(&self) -> Costs {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Alone, up to the last NOT NULL.
    pub(super) async fn fill(&self) -> anyhow::Result<()> {
        self.migrate(Some(Phase::Assignment), without_backup("the bench", "its data are made up")).await
    }

    pub(super) async fn seven_phases(&self) -> anyhow::Result<()> {
        self.migrate(None, BackupChoice::List).await
    }

    async fn migrate(&self, until: Option<Phase>, backup: BackupChoice) -> anyhow::Result<()> {
        let config = Config {
            root: RootChoice::Existing("public.merchants".parse()?),
            app_role: Ident::constant(APP),
            exclude_schemas: Default::default(),
            exclude_tables: Default::default(),
            accept_defaults: true,
            declared: Declarations::default(),
            answers: Default::default(),
        };
        self.timeline.now("planning");
        let plan = make_plan(&self.place.target, &config, &|_| {}).await.context("planning")?;
        let options = MigrateOptions {
            place: self.place.clone(),
            plan,
            until,
            on_failure: OnFailure::Stop,
            backup,
            app_password: Some(PASSWORD.to_owned()),
        };
        migrate(&options, &|event| self.hear(event)).await.context("migrating")?;
        ensure!(self.costs().rows > 0, "the migration filled no row");
        Ok(())
    }

    pub(super) async fn cut_over(&self) -> anyhow::Result<()> {
        cutover(&self.place, None, &|event| self.hear(event)).await.context("cutting over")?;
        Ok(())
    }

    /// Back to where the legacy logins work.
    pub(super) async fn undo_cutover(&self) -> anyhow::Result<()> {
        let to = Some(Phase::Optimisation);
        rollback(&self.place, None, to, &|event| self.hear(event)).await.context("undoing the cutover")?;
        Ok(())
    }

    pub(super) async fn roll_back(&self) -> anyhow::Result<()> {
        rollback(&self.place, None, None, &|event| self.hear(event)).await.context("rolling back")?;
        Ok(())
    }

    fn hear(&self, event: &Event) {
        let mut costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::PhaseStarted { phase, .. } => self.timeline.now(phase.name()),
            Event::StepStarted { step, phase, .. } => self.timeline.now(match kind(step.as_str()) {
                FILL if *phase == Phase::Assignment => FILL,
                "infer_tenants" if *phase == Phase::Assignment => "inference",
                _ => phase.name(),
            }),
            Event::Progress { step, .. } if kind(step.as_str()) == FILL => costs.batches += 1,
            Event::StepEnded(ended) => {
                let step = ended.step.as_str().to_owned();
                if kind(&step) == FILL
                    && ended.outcome == StepOutcome::Done
                    && ended.phase == Phase::Assignment
                {
                    costs.fill += ended.took.as_secs_f64();
                    costs.rows += ended.rows.unwrap_or(0);
                }
                costs.steps.push(StepCost {
                    step: match ended.outcome {
                        StepOutcome::Undone => format!("undoing {step}"),
                        StepOutcome::Done | StepOutcome::Failed => step,
                    },
                    lock: ended.lock,
                    held: ended.held.unwrap_or_default().as_secs_f64() * 1000.0,
                    attempts: ended.attempts,
                });
            }
            _ => {}
        }
    }
}

/// The login that the run makes.
pub(super) const APP: &str = "bastide_app";
