//! From a live database to a plan: reads the catalog, measures rows, and lets the pure planner decide. Changes nothing.

use bastide_connect::Target;
use bastide_legacy::Asked;
use bastide_plan::{Config, Phase, Plan};
use bastide_record::Discovery;

use crate::{EngineError, Event, Listener};

/// # Errors
/// When the database cannot be read, or cannot be planned for ([`EngineError::Refused`]).
pub async fn make_plan(
    target: &Target,
    config: &Config,
    listener: Listener<'_>,
) -> Result<Plan, EngineError> {
    let say = |text: &str| listener(&Event::Activity { phase: Phase::Analysis, text: text.to_owned() });
    let mut client = target.connect("bastide").await?;
    crate::guard::check_rights(&client).await?;
    crate::bootstrap::schema_is_free(&client).await?;
    say("reading the catalog");
    let catalog = bastide_catalog::read(&mut client).await?;
    let survey = bastide_legacy::survey(&mut client, &catalog, config, &say).await?;
    say("planning");
    Ok(bastide_plan::plan(&catalog, &survey, config)?)
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
