//! What is wrong with the rows before anything moves: references without a parent, references that nobody declared, and
//! values that a key per tenant would refuse or allow. Reads only.
//!
//! Each measurement has a savepoint and a time limit of its own. One that fails is reported as not measured, and never as a
//! figure.

mod dangling;
mod duplicates;
mod looking;
mod slugs;
mod undeclared;

use std::time::{Duration, Instant};

use bastide_catalog::Catalog;
use bastide_plan::{Config, RepeatedSlugs, Survey, inference::Graph};
use bastide_record::{Integrity, SlugKind};
use bastide_sql::QualifiedName;
use tokio_postgres::Transaction;

pub use self::looking::IntegrityLimits;
use self::looking::Looking;
use crate::{SurveyError, survey::Progress};

/// For a transaction that began with [`bastide_plan::inference::prelude`]. `graph`: the one that inference has run on in this transaction, whose work
/// tables say whose rows are (a new root needs none); without it, nothing that depends on tenants is looked at.
///
/// # Errors
/// When the connection is lost. What the server refuses is among [`Integrity::unmeasured`].
pub async fn integrity(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    config: &Config,
    graph: Option<&Graph>,
    limits: &IntegrityLimits,
    progress: Progress<'_>,
) -> Result<Integrity, SurveyError> {
    let mut looking = Looking::begin(transaction, catalog, limits, progress).await?;
    let mut found = Integrity::default();
    let root = graph.map(|graph| &graph.root.table);
    // Cheap and grave first: what time does not suffice for should be the least loss.
    if let Some(root) = root {
        found.duplicate_slugs = slugs::duplicates(&mut looking, root).await?;
    }
    found.dangling = dangling::declared(&mut looking).await?;
    found.suggested = undeclared::suggested(&mut looking, config, root).await?;
    if let Some(graph) = graph {
        found.global_keys = duplicates::global_keys(&looking, graph);
        found.duplicates = duplicates::duplicates(&mut looking, graph).await?;
    }
    found.unmeasured = looking.end();
    Ok(found)
}

/// How long planning looks at the slugs of a root.
const PATIENCE: Duration = Duration::from_secs(30);

/// Slugs that several tenants have, for planning.
pub(crate) async fn repeated_slugs(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    root: &QualifiedName,
    survey: &mut Survey,
) -> Result<(), SurveyError> {
    let limits = IntegrityLimits {
        statement: PATIENCE,
        deadline: Instant::now() + PATIENCE,
        sample_above_rows: u64::MAX,
    };
    let mut looking = Looking::begin(transaction, catalog, &limits, &|_| ()).await?;
    let found = slugs::duplicates(&mut looking, root).await?;
    let missed = looking.end();
    survey.slugs_not_looked_at =
        missed.first().map(|missed| format!("could not {}: {}", missed.what, missed.why));
    let slugs = found.into_iter().filter(|found| found.kind == SlugKind::Slug);
    survey.repeated_slugs = slugs
        .map(|found| RepeatedSlugs {
            column: found.column,
            values: found.groups,
            samples: found.samples.into_iter().map(|sample| (sample.value, sample.keys)).collect(),
        })
        .collect();
    Ok(())
}
