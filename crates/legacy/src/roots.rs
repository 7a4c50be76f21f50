//! Which table could be the tenant root: candidates by structure, then the survey itself for the best of them.

use std::time::{Duration, Instant};

use bastide_catalog::Catalog;
use bastide_plan::{
    Class, Config, CrossingLink, Declarations, Question, RootChoice, Survey,
    classify::{candidate_roots, classify},
    crossing_links,
    inference::{self, Graph},
    thousands,
};
use bastide_record::{RootFigures, Roots, UnmeasuredRoot, WorstLink};
use bastide_sql::QualifiedName;
use tokio_postgres::Client;

use crate::{
    SurveyError,
    reading::{Reading, Until},
    survey,
};

/// How many candidates are measured, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub struct RootLimits {
    pub candidates: usize,
    pub deadline: Instant,
}

/// A tenant that owns more than this share of all rows leaves little to keep apart.
const MOST_OF_ALL: f64 = 90.0;

/// Looks at other roots than the configured one; reads only. A candidate that cannot be measured, for want of time or
/// because the server refuses, is said to be unmeasured, with the reason.
pub async fn roots(
    client: &mut Client,
    catalog: &Catalog,
    config: &Config,
    limits: &RootLimits,
    progress: survey::Progress<'_>,
) -> Roots {
    let mut found = Roots::default();
    for (at, candidate) in candidate_roots(catalog, config).into_iter().enumerate() {
        let root = candidate.table;
        let left = limits.deadline.saturating_duration_since(Instant::now());
        let why = if at >= limits.candidates {
            format!("only {} are measured", limits.candidates)
        } else if left < Duration::from_millis(1) {
            "no time was left".to_owned()
        } else {
            progress(&format!("trying {root} as the tenant root"));
            match measure(client, catalog, config, &root, left).await {
                Ok(figures) => {
                    found.measured.push(figures);
                    continue;
                }
                Err(error) => error.to_string(),
            }
        };
        found.unmeasured.push(UnmeasuredRoot { root, why });
    }
    found.measured.sort_by_key(|root| {
        let lost = root.conflicting + root.unreachable;
        let covered = root.rows_scoped.saturating_sub(lost);
        (
            !root.boundary,
            root.largest_percent > MOST_OF_ALL,
            root.tables_unclear,
            std::cmp::Reverse(covered),
            root.root.clone(),
        )
    });
    found
}

async fn measure(
    client: &mut Client,
    catalog: &Catalog,
    config: &Config,
    root: &QualifiedName,
    left: Duration,
) -> Result<RootFigures, SurveyError> {
    let what = format!("try {root} as the tenant root");
    // Rules and proposals name tenants of the other root; references are the same for every root.
    let declared = Declarations { references: config.declared.references.clone(), ..Declarations::default() };
    let config = Config { root: RootChoice::Existing(root.clone()), declared, ..config.clone() };
    let mut reading = Reading::begin(client, Some(Until::new(left)), &what).await?;
    let measured = figures(&mut reading, catalog, &config, root, &what).await;
    reading.rollback(&what).await?;
    measured
}

async fn figures(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    config: &Config,
    root: &QualifiedName,
    what: &str,
) -> Result<RootFigures, SurveyError> {
    let survey = survey::read(reading, catalog, config, &|_| ()).await?;
    let classification = classify(catalog, config, &survey.usage)?;
    let graph = Graph::build(catalog, &classification.root, &classification.scoped())
        .surveyed()
        .declare(catalog, &config.declared);
    let row = reading.query_one(&inference::ownership(&graph), what).await?;
    let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs).map_err(SurveyError::during(what));
    let (tenants_with_rows, largest, owned) = (number(0)?, number(1)?, number(2)?);
    let scoped = || survey.tables.iter().filter(|(table, _)| *table != root).map(|(_, table)| table);
    let mut figures = RootFigures {
        root: root.clone(),
        tenants: survey.tenants,
        tenants_with_rows,
        largest_percent: percent(largest, owned),
        tables_scoped: scoped().count() as u64,
        tables_unclear: classification.questions.iter().filter(|question| unclear(question)).count() as u64,
        rows_scoped: scoped().map(|table| table.rows).sum(),
        conflicting: scoped().map(|table| table.conflicting).sum(),
        unreachable: scoped().map(|table| table.unreachable).sum(),
        rows_in_all: rows_in_all(catalog),
        worst_link: worst_link(catalog, &survey),
        boundary: false,
        because: String::new(),
    };
    (figures.boundary, figures.because) = verdict(&figures);
    Ok(figures)
}

/// What is asked because nothing says whose the rows are; not what is likely to be shared.
fn unclear(question: &Question) -> bool {
    question.default.as_deref() != Some(Class::Shared.to_string().as_str())
}

fn worst_link(catalog: &Catalog, survey: &Survey) -> Option<WorstLink> {
    let mut links = crossing_links(catalog, survey);
    links.sort_by(|a, b| {
        percent(a.link.crossing, a.table_rows).total_cmp(&percent(b.link.crossing, b.table_rows))
    });
    links.pop().map(|CrossingLink { link, table_rows }| WorstLink {
        table: link.table,
        foreign_key: link.foreign_key,
        references: link.references,
        crossing: link.crossing,
        table_rows,
    })
}

fn verdict(figures: &RootFigures) -> (bool, String) {
    let RootFigures { tenants, tenants_with_rows, largest_percent, worst_link, .. } = figures;
    if *tenants < 2 {
        let has = if *tenants == 0 { "no row" } else { "one row" };
        return (false, format!("it has {has}, so there is nothing to keep apart"));
    }
    if *tenants_with_rows < 2 {
        let lead = if *tenants_with_rows == 0 { "none" } else { "only one" };
        let rows = thousands(*tenants);
        return (false, format!("the rows of other tables lead to {lead} of its {rows} rows"));
    }
    let crossing = worst_link.as_ref().map(|worst| {
        let WorstLink { table, foreign_key, crossing, table_rows, .. } = worst;
        let (crossing, rows) = (thousands(*crossing), thousands(*table_rows));
        format!("{crossing} of {rows} rows of {table} cross by {foreign_key}")
    });
    if let (Some(worst), Some(crossing)) = (worst_link, &crossing)
        && worst.crossing * 100 > worst.table_rows
    {
        return (false, crossing.clone());
    }
    let RootFigures { tables_scoped, rows_scoped, conflicting, unreachable, tables_unclear, .. } = figures;
    let mut said = format!(
        "{} tenants, {} of them with rows in {tables_scoped} other {} ({} rows, {} without a tenant); {}",
        thousands(*tenants),
        thousands(*tenants_with_rows),
        if *tables_scoped == 1 { "table" } else { "tables" },
        thousands(*rows_scoped),
        thousands(conflicting + unreachable),
        crossing.unwrap_or_else(|| "no reference crosses".to_owned()),
    );
    if *largest_percent > MOST_OF_ALL {
        said.push_str(&format!("; one tenant owns {largest_percent:.0} % of them"));
    }
    if *tables_unclear > 0 {
        let tables = if *tables_unclear == 1 { "table has" } else { "tables have" };
        said.push_str(&format!("; {tables_unclear} more {tables} to be asked about"));
    }
    (true, said)
}

#[expect(clippy::cast_precision_loss, reason = "a share in percent")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// By the server's estimate.
fn rows_in_all(catalog: &Catalog) -> u64 {
    let tables = catalog.tables.values().filter(|table| table.holds_rows());
    tables.map(|table| u64::try_from(table.estimated_rows).unwrap_or(0)).sum()
}
