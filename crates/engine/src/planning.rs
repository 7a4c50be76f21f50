//! From a live database to a plan: reads the catalog, measures rows, and lets the pure planner decide. Changes nothing.

use bastide_connect::Target;
use bastide_plan::{Config, Phase, Plan};

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
