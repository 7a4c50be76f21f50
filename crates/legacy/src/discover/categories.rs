//! Counts categories, table by table.

use std::collections::BTreeMap;

use bastide_catalog::{Catalog, Table};
use bastide_plan::{CategoryCounts, Refusal, Share, TableCategory, category_counts, inference::Graph};
use bastide_record::{CategoryFound, CategoryOfTable, Count};
use bastide_sql::QualifiedName;
use tokio_postgres::error::SqlState;

use super::{
    Asked,
    tables::{counted, share, told_with},
};
use crate::{SurveyError, reading::Reading, survey::Progress};

/// Lets the server read each declared expression; nothing is run yet.
pub(super) async fn check(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    categories: &[TableCategory],
) -> Result<(), SurveyError> {
    for category in categories.iter().filter(|category| category.declared) {
        let Some(table) = catalog.table(&category.table) else { continue };
        let what = format!("read the category {}", category.category);
        let script = category_counts(table, &[category], None, None);
        let part = reading.savepoint(&what).await?;
        part.execute(&script.path, &what).await?;
        if let Err(error) = part.prepare(&script.counts, &what).await {
            if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
                // Told where the table is.
                part.rollback(&what).await?;
                continue;
            }
            return Err(match &error {
                SurveyError::Server { source, .. } if source.as_db_error().is_some() => Refusal::Category {
                    category: category.category.clone(),
                    key: "when",
                    why: format!("{} says of {}: {}", "the server", category.table, error.said()),
                }
                .into(),
                _ => error,
            });
        }
        part.rollback(&what).await?;
    }
    Ok(())
}

pub(super) async fn count(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    asked: &Asked,
    graph: Option<&Graph>,
    barred: &BTreeMap<QualifiedName, String>,
    categories: &[TableCategory],
    progress: Progress<'_>,
) -> Result<Vec<CategoryFound>, SurveyError> {
    let mut by_table: BTreeMap<&QualifiedName, Vec<&TableCategory>> = BTreeMap::new();
    for category in categories.iter().filter(|category| !asked.excludes(&category.table)) {
        by_table.entry(&category.table).or_default().push(category);
    }
    let mut found: BTreeMap<&str, CategoryFound> = BTreeMap::new();
    for (name, categories) in by_table {
        let Some(table) = catalog.table(name) else { continue };
        progress(&format!("counting categories of {name}"));
        let counted = match barred.get(name) {
            Some(why) => categories.iter().map(|_| Counted::not(why)).collect(),
            None => of_table(reading, table, &categories, graph, share(table, asked)).await?,
        };
        for (category, counted) in categories.iter().zip(counted) {
            let of_name = found.entry(&category.category).or_insert_with(|| CategoryFound {
                name: category.category.clone(),
                declared: category.declared,
                tables: Vec::new(),
            });
            add(of_name, &told_with(catalog, table).name, category, counted);
        }
    }
    Ok(found.into_values().collect())
}

/// What was counted of one category in one table.
struct Counted {
    rows: Count,
    without_tenant: Option<Count>,
    unreachable: Option<Count>,
    samples: Vec<String>,
}

impl Counted {
    fn not(why: &str) -> Self {
        let rows = Count::NotCounted { why: why.to_owned() };
        Self { rows, without_tenant: None, unreachable: None, samples: Vec::new() }
    }
}

/// All at once: one pass over the table. When that fails of one of them (a declared expression may divide by zero), one by
/// one.
async fn of_table(
    reading: &mut Reading<'_>,
    table: &Table,
    categories: &[&TableCategory],
    graph: Option<&Graph>,
    share: Option<Share>,
) -> Result<Vec<Counted>, SurveyError> {
    match together(reading, table, categories, graph, share).await {
        Err(SurveyError::Server { source, .. }) if categories.len() > 1 && source.as_db_error().is_some() => {
            let mut found = Vec::new();
            for category in categories {
                match together(reading, table, &[*category], graph, share).await {
                    Ok(counted) => found.extend(counted),
                    Err(error) => found.push(Counted::not(&error.without_rows()?)),
                }
            }
            Ok(found)
        }
        Ok(found) => Ok(found),
        Err(error) => {
            let why = error.without_rows()?;
            Ok(categories.iter().map(|_| Counted::not(&why)).collect())
        }
    }
}

async fn together(
    reading: &mut Reading<'_>,
    table: &Table,
    categories: &[&TableCategory],
    graph: Option<&Graph>,
    share: Option<Share>,
) -> Result<Vec<Counted>, SurveyError> {
    let what = format!("count categories of {}", table.name);
    let script = category_counts(table, categories, graph, share);
    let part = reading.savepoint(&what).await?;
    let scoped =
        graph.is_some_and(|graph| graph.nodes.iter().any(|node| node.scoped && node.table == table.name));
    let outcome = read(&part, &script, categories.len(), scoped, share, &what).await;
    part.rollback(&what).await?;
    outcome
}

async fn read(
    reading: &Reading<'_>,
    script: &CategoryCounts,
    categories: usize,
    scoped: bool,
    share: Option<Share>,
    what: &str,
) -> Result<Vec<Counted>, SurveyError> {
    reading.execute(&script.path, what).await?;
    let row = reading.query_one(&script.counts, what).await?;
    let number = |at: usize| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
    let mut found = Vec::new();
    for at in 0..categories {
        let read = || Ok((number(1 + 3 * at)?, number(2 + 3 * at)?, number(3 + 3 * at)?));
        let (rows, without, unreachable) = read().map_err(SurveyError::during(what))?;
        let mut samples = Vec::new();
        if rows > 0
            && let Some(query) = script.samples.as_ref().and_then(|samples| samples.get(at))
        {
            for row in reading.query(query, what).await? {
                samples.push(row.try_get(0).map_err(SurveyError::during(what))?);
            }
        }
        found.push(Counted {
            rows: counted(rows, share),
            without_tenant: scoped.then(|| counted(without, share)),
            unreachable: scoped.then(|| counted(unreachable, share)),
            samples,
        });
    }
    Ok(found)
}

/// Partitions are summed up.
fn add(found: &mut CategoryFound, table: &QualifiedName, category: &TableCategory, counted: Counted) {
    let Some(known) = found.tables.iter_mut().find(|known| known.table == *table) else {
        let Counted { rows, without_tenant, unreachable, samples } = counted;
        let (table, why) = (table.clone(), category.why.clone());
        found.tables.push(CategoryOfTable { table, why, rows, without_tenant, unreachable, samples });
        return;
    };
    known.rows = known.rows.clone().plus(counted.rows);
    let both = |a: &mut Option<Count>, b: Option<Count>| *a = a.take().zip(b).map(|(a, b)| a.plus(b));
    both(&mut known.without_tenant, counted.without_tenant);
    both(&mut known.unreachable, counted.unreachable);
    let room = 3_usize.saturating_sub(known.samples.len());
    known.samples.extend(counted.samples.into_iter().take(room));
}
