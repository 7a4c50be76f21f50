//! What `bastide legacy upgrade` does, through the engine, with its time taken apart.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Context, ensure};
use bastide_connect::Target;
use bastide_engine::{Event, MigrateOptions, OnFailure, Patience, Place, make_plan, migrate, without_backup};
use bastide_plan::{Config, Declarations, Phase, RootChoice};
use bastide_sql::Ident;

use crate::{memory::Doing, server::Bench};

/// What [`Doing`] says while batches are written.
pub(crate) const FILLING: &str = "filling";

#[derive(Clone, Debug, Default)]
pub(crate) struct Upgrade {
    /// Reading the catalog, the survey, the plan; seconds, as all others.
    pub(crate) plan: f64,
    /// The run, from preflight to NOT NULL.
    pub(crate) run: f64,
    /// Both passes of inference, the recorded evidence included.
    pub(crate) inference: f64,
    /// The batches of both passes, with their pauses.
    pub(crate) fill: f64,
    pub(crate) rows: u64,
    pub(crate) batches: u64,
    pub(crate) largest_batch: u64,
    /// How long its rows stayed locked.
    pub(crate) longest_batch: f64,
    /// What a run does besides: by kind of step or phase.
    pub(crate) further: BTreeMap<String, f64>,
}

pub(crate) async fn run(bench: &Bench, target: &Target, doing: &Arc<Doing>) -> anyhow::Result<Upgrade> {
    let place = Place {
        target: target.clone(),
        app: None,
        state_dir: bench.state().to_owned(),
        patience: Patience::default(),
    };
    let config = Config {
        root: RootChoice::Existing("public.shops".parse()?),
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: Default::default(),
        exclude_tables: Default::default(),
        accept_defaults: true,
        declared: Declarations::default(),
        answers: Default::default(),
    };
    doing.now("planning");
    let begun = Instant::now();
    let plan = make_plan(&place.target, &config, &|_| {}).await.context("planning")?;
    let planning = begun.elapsed().as_secs_f64();
    checkpoint(target).await?;

    let trace = Arc::new(Mutex::new(Upgrade { plan: planning, ..Upgrade::default() }));
    let listener = {
        let (trace, doing) = (Arc::clone(&trace), Arc::clone(doing));
        let before = Mutex::new(0);
        move |event: &Event| {
            let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
            let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
            trace.hear(event, &doing, &mut before);
        }
    };
    let options = MigrateOptions {
        place,
        plan,
        until: Some(Phase::Assignment),
        on_failure: OnFailure::Stop,
        // Nobody who writes an UPDATE by hand has their dump counted as a part of it.
        backup: without_backup("the bench", "its data are made up"),
        app_password: None,
    };
    let begun = Instant::now();
    let outcome = migrate(&options, &listener).await.context("upgrading")?;
    let run = begun.elapsed().as_secs_f64();
    doing.now("");
    let mut upgrade = trace.lock().unwrap_or_else(PoisonError::into_inner).clone();
    upgrade.run = run;
    let fills = outcome.steps.iter().filter(|step| kind(step.id.as_str()) == "backfill");
    upgrade.longest_batch = fills.map(|step| step.held_ms / 1000.0).fold(0.0, f64::max);
    ensure!(upgrade.rows > 0, "the upgrade filled no row");
    Ok(upgrade)
}

async fn checkpoint(target: &Target) -> anyhow::Result<()> {
    let client = target.connect("bastide bench").await?;
    client.batch_execute("CHECKPOINT").await?;
    client.close().await;
    Ok(())
}

/// `backfill` of `backfill:public.orders.tenant_id:1`.
fn kind(step: &str) -> &str {
    step.split(':').next().unwrap_or(step)
}

impl Upgrade {
    /// `before`: what the step under way had done at its last batch.
    fn hear(&mut self, event: &Event, doing: &Doing, before: &mut u64) {
        match event {
            Event::StepStarted { step, .. } => {
                *before = 0;
                doing.now(if kind(step.as_str()) == "backfill" { FILLING } else { "another step" });
            }
            Event::Progress { step, done, .. } if kind(step.as_str()) == "backfill" => {
                self.batches += 1;
                self.largest_batch = self.largest_batch.max(done - *before);
                *before = *done;
            }
            Event::StepDone { step, took, rows } => {
                doing.now("");
                let took = took.as_secs_f64();
                match kind(step.as_str()) {
                    "infer_tenants" => self.inference += took,
                    "backfill" => {
                        self.fill += took;
                        self.rows += rows.unwrap_or(0);
                    }
                    other => *self.further.entry(other.to_owned()).or_default() += took,
                }
            }
            Event::PhaseDone { phase, took } if *phase != Phase::Assignment => {
                *self.further.entry(format!("phase {}", phase.name())).or_default() += took.as_secs_f64();
            }
            _ => {}
        }
    }
}
