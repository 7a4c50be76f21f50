//! From catalog, survey and configuration to the plan.

use bastide_catalog::Catalog;

use crate::{Config, Plan, Refusal, Survey};

/// # Errors
/// When the database cannot be planned for; each refusal says why and what to type next.
pub fn plan(catalog: &Catalog, survey: &Survey, config: &Config) -> Result<Plan, Refusal> {
    let classification = crate::classify::classify(catalog, config, &survey.usage)?;
    Err(Refusal::NothingScoped { root: classification.root.table })
}
