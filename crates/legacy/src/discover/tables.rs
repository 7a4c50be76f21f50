//! Every table: its class, its rows, and what is known of their tenants.

use std::collections::BTreeMap;

use bastide_catalog::{Catalog, Table, TableKind};
use bastide_plan::{Evidence, Share, TableSurvey, table_rows};
use bastide_record::{Count, TableFound, Tenants};
use bastide_sql::QualifiedName;

use super::{Asked, shape::Shape};
use crate::{SurveyError, reading::Reading, survey::Progress};

/// The least that a row takes on its page; more rows than its bytes allow a table cannot have.
const LEAST_BYTES: u64 = 28;

pub(super) async fn tables(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    asked: &Asked,
    shape: &Shape,
    barred: &BTreeMap<QualifiedName, String>,
    surveyed: &BTreeMap<QualifiedName, TableSurvey>,
    progress: Progress<'_>,
) -> Result<Vec<TableFound>, SurveyError> {
    let mut found = Vec::new();
    for table in catalog.tables.values().filter(|table| is_told(catalog, table)) {
        let (class, because, tenant_column) = shape.of(&table.name, asked);
        let (mut rows, mut bytes, mut estimate) = (Count::Exact { rows: 0 }, 0, Some(0));
        let mut tenants = Some(Tenants::default());
        let leaves = leaves(catalog, table);
        for leaf in &leaves {
            bytes += leaf.bytes.unsigned_abs();
            estimate = estimate.zip(u64::try_from(leaf.estimated_rows).ok()).map(|(sum, rows)| sum + rows);
            tenants = tenants.zip(surveyed.get(&leaf.name)).map(|(sum, of_leaf)| plus(sum, of_leaf));
            rows = rows.plus(match (surveyed.get(&leaf.name), barred.get(&leaf.name)) {
                (Some(survey), _) => Count::Exact { rows: survey.rows },
                (None, Some(why)) => Count::NotCounted { why: why.clone() },
                (None, None) if asked.excludes(&leaf.name) => {
                    Count::NotCounted { why: "left out".to_owned() }
                }
                (None, None) => {
                    progress(&format!("counting {}", leaf.name));
                    count(reading, leaf, asked).await?
                }
            });
        }
        let partitioned = table.kind == TableKind::Partitioned;
        found.push(TableFound {
            table: table.name.clone(),
            class,
            because,
            tenant_column,
            partitions: if partitioned { leaves.len() as u64 } else { 0 },
            estimated_rows: estimate,
            bytes,
            rows,
            // With a root still to be made there is nothing to tell apart.
            tenants: tenants.filter(|_| !leaves.is_empty() && shape.root().is_some_and(|root| !root.new)),
        });
    }
    Ok(found)
}

/// Partitions are told with the table they are partitions of.
fn is_told(catalog: &Catalog, table: &Table) -> bool {
    !table
        .parents
        .iter()
        .any(|parent| catalog.table(parent).is_some_and(|parent| parent.kind == TableKind::Partitioned))
}

/// The table that a leaf is told with.
pub(super) fn told_with<'a>(catalog: &'a Catalog, table: &'a Table) -> &'a Table {
    let parent = table.parents.iter().filter_map(|parent| catalog.table(parent));
    match parent.into_iter().find(|parent| parent.kind == TableKind::Partitioned) {
        Some(parent) => told_with(catalog, parent),
        None => table,
    }
}

fn leaves<'a>(catalog: &'a Catalog, table: &'a Table) -> Vec<&'a Table> {
    if table.holds_rows() {
        return vec![table];
    }
    let children = table.children.iter().filter_map(|child| catalog.table(child));
    children.flat_map(|child| leaves(catalog, child)).collect()
}

fn plus(mut sum: Tenants, survey: &TableSurvey) -> Tenants {
    sum.had += survey.had_tenant;
    sum.conflicting += survey.conflicting;
    sum.unreachable += survey.unreachable;
    for Evidence { path, rows } in &survey.inferred {
        sum.could_have += rows;
        sum.evidence.push(Evidence { path: path.clone(), rows: *rows });
    }
    sum
}

async fn count(reading: &mut Reading<'_>, table: &Table, asked: &Asked) -> Result<Count, SurveyError> {
    let what = format!("count {}", table.name);
    let share = share(table, asked);
    let part = reading.savepoint(&what).await?;
    let counted = match part.query_one(&table_rows(&table.name, share), &what).await {
        Ok(row) => {
            let rows: i64 = row.try_get(0).map_err(SurveyError::during(&what))?;
            counted(rows.unsigned_abs(), share)
        }
        Err(error) => Count::NotCounted { why: error.without_rows()? },
    };
    part.rollback(&what).await?;
    Ok(counted)
}

pub(super) fn counted(seen: u64, share: Option<Share>) -> Count {
    match share {
        None => Count::Exact { rows: seen },
        Some(share) => Count::Sampled { rows: share.scaled(seen), percent: share.percent() },
    }
}

/// What part of a table is looked at. A table that the server never analysed may have as many rows as fit.
pub(super) fn share(table: &Table, asked: &Asked) -> Option<Share> {
    let fits = table.bytes.unsigned_abs() / LEAST_BYTES;
    let rows = u64::try_from(table.estimated_rows).unwrap_or(fits);
    Share::of(asked.limits.sample_above, rows)
}
