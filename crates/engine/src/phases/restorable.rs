//! Before a rollback changes anything: would the keys it puts back hold for the rows there are now?

use std::collections::BTreeSet;

use bastide_catalog::Catalog;
use bastide_plan::{
    Plan, Step,
    inference::{HeldLayout, HeldReference, LostReference, SettleChecks, collisions, orphans},
    steps::{DropLegacyKey, LegacyKey},
};
use bastide_sql::{Ident, QualifiedName, Sql, join, sql};
use tokio_postgres::Client;

use crate::{EngineError, MigrationGuard, StepRecord, StepState, message};

pub(crate) async fn check(
    guard: &mut MigrationGuard,
    plan: &Plan,
    undo: &[&StepRecord],
) -> Result<(), EngineError> {
    let (mut misfits, mut dropped, mut layouts) = (Vec::new(), Vec::new(), Vec::new());
    for record in undo {
        let planned = plan.steps.iter().find(|planned| planned.id == record.id).map(|planned| &planned.step);
        match (planned, record.state) {
            (Some(Step::DropLegacyKey(key)), StepState::Done | StepState::Undoing) => {
                misfits.extend(twice(guard.client(), key).await?);
                dropped.push(key);
            }
            // It commits as it goes: rows may be held whatever became of it.
            (Some(Step::HoldAside(step)), state) if state != StepState::Undone => {
                layouts.extend(&step.layouts);
            }
            (Some(Step::SettleLinks(step)), state)
                if !matches!(state, StepState::Undone | StepState::Planned) =>
            {
                misfits.extend(lost(guard.client_mut(), &step.checks).await?);
            }
            _ => {}
        }
    }
    misfits.extend(taken(guard, plan, &layouts, &dropped).await?);
    if misfits.is_empty() { Ok(()) } else { Err(EngineError::NotRestorable(misfits.join("; "))) }
}

async fn twice(client: &Client, key: &DropLegacyKey) -> Result<Option<String>, EngineError> {
    let Some(query) = duplicates(key) else { return Ok(None) };
    let rows = client
        .query_one(query.as_str(), &[])
        .await
        .and_then(|row| row.try_get::<_, i64>(0))
        .map_err(EngineError::server("testing the keys that rollback restores"))?;
    if rows == 0 {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} has {rows} value(s) of ({}) more than once, which {} forbids",
        key.table,
        listed(&key.columns),
        key.name
    )))
}

/// References and tenants that settling links changed, and that could not go back.
async fn lost(client: &mut Client, checks: &SettleChecks) -> Result<Vec<String>, EngineError> {
    const DOING: &str = "looking whether settled links can be put back";
    let mut misfits = Vec::new();
    // Dropped without COMMIT, so that nothing of it stays.
    let transaction = client.transaction().await.map_err(EngineError::server(DOING))?;
    transaction.batch_execute(&message::text(&checks.prepare)).await.map_err(EngineError::server(DOING))?;
    for LostReference { table, references, query } in &checks.lost {
        let row = transaction.query_one(query.as_str(), &[]).await.map_err(EngineError::server(DOING))?;
        let (count, examples): (i64, String) = (
            row.try_get(0).map_err(EngineError::server(DOING))?,
            row.try_get(1).map_err(EngineError::server(DOING))?,
        );
        if count > 0 {
            misfits.push(format!(
                "{count} row(s) of {table} cannot refer to what they did, for those rows of {references} were deleted since \
                 (put them back, or set undone_at in bastide.changed to leave it at that): {examples}"
            ));
        }
    }
    transaction.rollback().await.map_err(EngineError::server(DOING))?;
    Ok(misfits)
}

/// Rows held aside whose key a row written since has, and rows whose parent somebody deleted since.
async fn taken(
    guard: &mut MigrationGuard,
    plan: &Plan,
    layouts: &[&HeldLayout],
    dropped: &[&DropLegacyKey],
) -> Result<Vec<String>, EngineError> {
    const DOING: &str = "looking whether rows held aside can come back";
    const HELD: &str = "SELECT DISTINCT relation FROM bastide.held WHERE run_id = current_setting('bastide.run')::uuid AND restored_at IS NULL";
    if layouts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = guard.client().query(HELD, &[]).await.map_err(EngineError::server(DOING))?;
    let held: BTreeSet<String> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(EngineError::server(DOING))?;
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let catalog = bastide_catalog::read(guard.client_mut()).await?;
    guard.settle().await?;
    let mut misfits = Vec::new();
    for layout in layouts.iter().filter(|layout| held.contains(sql!("{}", layout.table).as_str())) {
        let keys = keys(&catalog, layout, dropped);
        let (prepare, queries) = collisions(layout, &keys);
        let references = references(&catalog, plan, layout, layouts);
        let client = guard.client_mut();
        // Dropped without COMMIT, so that nothing of it stays.
        let transaction = client.transaction().await.map_err(EngineError::server(DOING))?;
        transaction.batch_execute(&message::text(&prepare)).await.map_err(EngineError::server(DOING))?;
        for ((_, key), query) in keys.iter().zip(&queries) {
            let row = transaction.query_one(query.as_str(), &[]).await.map_err(EngineError::server(DOING))?;
            let (count, examples): (i64, String) = (
                row.try_get(0).map_err(EngineError::server(DOING))?,
                row.try_get(1).map_err(EngineError::server(DOING))?,
            );
            if count > 0 {
                misfits.push(format!(
                    "{count} row(s) of {} held aside cannot come back, for rows written since have their ({}): {examples}",
                    layout.table,
                    listed(key)
                ));
            }
        }
        let (prepare, queries) = orphans(layout, &references);
        transaction.batch_execute(&message::text(&prepare)).await.map_err(EngineError::server(DOING))?;
        for (((parent, _), _), query) in references.iter().zip(&queries) {
            let row = transaction.query_one(query.as_str(), &[]).await.map_err(EngineError::server(DOING))?;
            let (count, examples): (i64, String) = (
                row.try_get(0).map_err(EngineError::server(DOING))?,
                row.try_get(1).map_err(EngineError::server(DOING))?,
            );
            if count > 0 {
                misfits.push(format!(
                    "{count} row(s) of {} held aside cannot come back, for the rows of {parent} they refer to were deleted since: {examples}",
                    layout.table
                ));
            }
        }
        transaction.rollback().await.map_err(EngineError::server(DOING))?;
    }
    Ok(misfits)
}

/// What rows of this table refer to. The tenant columns are left out: a row is held because its own and its parent's
/// differ.
fn references<'a>(
    catalog: &Catalog,
    plan: &Plan,
    layout: &HeldLayout,
    layouts: &[&'a HeldLayout],
) -> Vec<(HeldReference, Vec<&'a HeldLayout>)> {
    let Some(table) = catalog.table(&layout.table) else { return Vec::new() };
    let tenant = plan.tables.get(&layout.table).and_then(|decision| decision.tenant_column.as_ref());
    let mut found: Vec<(HeldReference, Vec<&HeldLayout>)> = Vec::new();
    for key in &table.foreign_keys {
        let pairs: Vec<(Ident, Ident)> = key
            .columns
            .iter()
            .zip(&key.referenced_columns)
            .filter(|(column, _)| {
                key.columns.len() == 1 || tenant.is_none_or(|tenant| tenant.name != **column)
            })
            .map(|(column, theirs)| (column.clone(), theirs.clone()))
            .collect();
        let reference = (key.references.clone(), pairs);
        let known =
            reference.1.iter().all(|(column, _)| layout.columns.iter().any(|(name, _)| name == column));
        if known && !reference.1.is_empty() && !found.iter().any(|(seen, _)| *seen == reference) {
            let parents = layouts.iter().copied().filter(|other| {
                other.table == reference.0
                    || catalog.table(&other.table).is_some_and(|table| table.parents.contains(&reference.0))
            });
            let parents = parents.collect();
            found.push((reference, parents));
        }
    }
    found
}

/// The unique keys that a row of this table has to fit when it comes back, each with the table that has it: those there
/// are, and those that are put back before.
fn keys(
    catalog: &Catalog,
    layout: &HeldLayout,
    dropped: &[&DropLegacyKey],
) -> Vec<(QualifiedName, Vec<Ident>)> {
    let mut family = vec![layout.table.clone()];
    let mut keys = Vec::new();
    while let Some(name) = family.pop() {
        let Some(table) = catalog.table(&name) else { continue };
        family.extend(table.parents.iter().cloned());
        // The keys of an inheritance parent bind its own rows only.
        if name != layout.table && table.kind != bastide_catalog::TableKind::Partitioned {
            continue;
        }
        let there = table.keys.iter().map(|key| &key.columns);
        let back = dropped
            .iter()
            .filter(|key| key.table == name && !matches!(key.kind, LegacyKey::ForeignKey { .. }))
            .map(|key| &key.columns);
        for columns in there.chain(back) {
            let known = |column: &Ident| layout.columns.iter().any(|(name, _)| name == column);
            let key = (name.clone(), columns.clone());
            if columns.iter().all(known) && !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

fn listed(columns: &[Ident]) -> String {
    columns.iter().map(Ident::to_string).collect::<Vec<_>>().join(", ")
}

/// Keys that one tenant's rows kept, and several tenants' rows may not. A simple foreign key needs no test: the
/// composite one in its place forbids the same.
fn duplicates(key: &DropLegacyKey) -> Option<Sql> {
    match key.kind {
        LegacyKey::ForeignKey { .. } => None,
        LegacyKey::UniqueConstraint | LegacyKey::UniqueIndex => {
            let present: Vec<Sql> = key.columns.iter().map(|column| sql!("{} IS NOT NULL", column)).collect();
            let columns = sql!("{}", join(&key.columns, ", "));
            Some(sql!(
                "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1) AS d",
                key.table,
                join(present, " AND "),
                columns
            ))
        }
    }
}
