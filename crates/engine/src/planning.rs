//! From a live database to a plan: reads the catalog, measures rows, and lets the pure planner decide. Changes nothing.

use std::time::{Duration, Instant};

use bastide_catalog::Catalog;
use bastide_connect::Target;
use bastide_legacy::{Asked, RootLimits};
use bastide_plan::{BetterRoots, Config, Phase, Plan, Refusal};
use bastide_record::{Discovery, RootFigures};
use tokio_postgres::Client;

use crate::{EngineError, Event, Listener};

/// What a role or a database presets for the shop's statements must not end a survey of every row.
const UNHINDERED: &str = "
SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0;
SET default_transaction_read_only = off";

/// # Errors
/// When the database cannot be read, or cannot be planned for ([`EngineError::Refused`]).
pub async fn make_plan(
    target: &Target,
    config: &Config,
    listener: Listener<'_>,
) -> Result<Plan, EngineError> {
    let say = |text: &str| listener(&Event::Activity { phase: Phase::Analysis, text: text.to_owned() });
    let mut client = target.connect("bastide").await?;
    client.batch_execute(UNHINDERED).await.map_err(EngineError::server("preparing the session"))?;
    crate::guard::check_rights(&client).await?;
    crate::bootstrap::schema_is_free(&client).await?;
    let config = &crate::platform::said(&client, config).await?;
    say("reading the catalog");
    let catalog = bastide_catalog::read(&mut client).await?;
    let survey = bastide_legacy::survey(&mut client, &catalog, config, &say).await?;
    say("planning");
    match bastide_plan::plan(&catalog, &survey, config) {
        Err(Refusal::NotABoundary { root, links, .. }) => {
            let better = better_roots(&mut client, &catalog, config, &say).await;
            Err(Refusal::NotABoundary { root, links, better: Some(Box::new(better)) }.into())
        }
        planned => Ok(planned?),
    }
}

/// How many other roots are measured for whoever named one that is no boundary, and for how long.
const CANDIDATES: usize = 6;
const PATIENCE: Duration = Duration::from_secs(30);

async fn better_roots(
    client: &mut Client,
    catalog: &Catalog,
    config: &Config,
    say: &(dyn Fn(&str) + Send + Sync),
) -> BetterRoots {
    let limits = RootLimits { candidates: CANDIDATES, deadline: Instant::now() + PATIENCE };
    let found = bastide_legacy::roots(client, catalog, config, &limits, say).await;
    let (boundaries, others) = found.measured.into_iter().partition::<Vec<_>, _>(|root| root.boundary);
    let told = |roots: Vec<RootFigures>| roots.into_iter().map(|root| (root.root, root.because)).collect();
    BetterRoots {
        boundaries: told(boundaries),
        others: told(others),
        unmeasured: found.unmeasured.into_iter().map(|root| root.root).collect(),
    }
}

/// Everything that can be said of whose rows are, where no plan can be made, too. Asks for no rights but to read.
///
/// # Errors
/// When the database cannot be read, or the settings name what is not there.
pub async fn discover(
    target: &Target,
    asked: &Asked,
    listener: Listener<'_>,
) -> Result<Discovery, EngineError> {
    let say = |text: &str| listener(&Event::Activity { phase: Phase::Analysis, text: text.to_owned() });
    let mut client = target.connect("bastide").await?;
    // Somebody's ALTER TABLE must not hold us up for longer than we say.
    let patience = "SET lock_timeout = '5s'";
    client.batch_execute(patience).await.map_err(EngineError::server("begin the discovery"))?;
    say("reading the catalog");
    let catalog = bastide_catalog::read(&mut client).await?;
    Ok(bastide_legacy::discover(&mut client, &catalog, asked, &say).await?)
}
