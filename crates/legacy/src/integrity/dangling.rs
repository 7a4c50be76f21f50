//! Rows whose reference names a row that is not there.

use std::collections::BTreeSet;

use bastide_catalog::{ForeignKey, Table, TableKind};
use bastide_record::{Dangling, DanglingRows, Trust};
use bastide_sql::{Ident, Sql, join, sql};

use super::looking::{Looking, columns_of, from, has_parent, present};
use crate::SurveyError;

/// Constraints of which some trigger does not fire in an ordinary session.
const DISABLED: &str = "
SELECT DISTINCT c.conrelid AS relation, c.conname::text AS name
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_constraint c ON c.oid = t.tgconstraint
WHERE t.tgisinternal AND c.contype = 'f' AND t.tgenabled IN ('D', 'R')";

/// Declared foreign keys, those without the server's promise first.
pub(super) async fn declared(looking: &mut Looking<'_, '_>) -> Result<Vec<Dangling>, SurveyError> {
    let Some(disabled) = disabled(looking).await? else { return Ok(Vec::new()) };
    let catalog = looking.catalog;
    let mut keys: Vec<(Trust, &Table, &ForeignKey)> = Vec::new();
    let readable = |table: &&Table| table.kind != TableKind::Foreign && looking.may_read(table);
    for table in catalog.tables.values().filter(readable) {
        for key in &table.foreign_keys {
            let off = |table: &Table, key: &ForeignKey| {
                disabled.contains(&(table.oid, key.name.as_str().to_owned()))
            };
            // A partition is looked at with its parent, unless it alone is not trusted.
            let parents = || table.parents.iter().filter_map(|parent| catalog.table(parent));
            let with_parent = || {
                parents().any(|parent| {
                    parent.foreign_keys.iter().any(|k| k.columns == key.columns && off(parent, k))
                })
            };
            if key.inherited && (!off(table, key) || with_parent()) {
                continue;
            }
            let trust = match (off(table, key), key.validated) {
                (true, _) => Trust::TriggersDisabled,
                (false, false) => Trust::NotValid,
                (false, true) => Trust::Enforced,
            };
            keys.push((trust, table, key));
        }
    }
    keys.sort_by_key(|(trust, ..)| *trust == Trust::Enforced);
    let mut found = Vec::new();
    for (trust, table, key) in keys {
        let parent = catalog.table(&key.references).filter(|parent| looking.may_read(parent));
        let Some(parent) = parent else { continue };
        let counted = count(looking, table, &key.columns, parent, &key.referenced_columns).await?;
        let Some(DanglingRows { rows, dangling, samples, extent }) = counted else { continue };
        if dangling == 0 && trust == Trust::Enforced {
            continue;
        }
        found.push(Dangling {
            table: table.name.clone(),
            foreign_key: key.name.clone(),
            columns: key.columns.clone(),
            references: key.references.clone(),
            trust,
            rows,
            dangling,
            samples,
            extent,
        });
    }
    Ok(found)
}

async fn disabled(looking: &mut Looking<'_, '_>) -> Result<Option<BTreeSet<(u32, String)>>, SurveyError> {
    let what = "look for foreign keys that do not fire";
    let Some(rows) = looking.rows(what, &Sql::trusted(DISABLED)).await? else { return Ok(None) };
    let keys = rows.iter().map(|row| Ok((row.try_get("relation")?, row.try_get("name")?)));
    keys.collect::<Result<_, _>>().map(Some).map_err(SurveyError::during(what))
}

/// How many of the rows with a reference have no parent. `None`: not measured.
pub(super) async fn count(
    looking: &mut Looking<'_, '_>,
    table: &Table,
    columns: &[Ident],
    parent: &Table,
    parent_columns: &[Ident],
) -> Result<Option<DanglingRows>, SurveyError> {
    let reference = columns_of(&table.name, columns);
    let what = format!("count the rows of {reference} without a row of {}", parent.name);
    let extent = looking.extent(table);
    let c = sql!("c");
    let rows = sql!("{} WHERE {}", from(table, &c, extent), present(&c, columns));
    let lost = sql!("{} AND NOT {}", rows, has_parent(table, &c, columns, parent, parent_columns));
    let counts = sql!("SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})", rows, lost);
    let Some(row) = looking.row(&what, &counts).await? else { return Ok(None) };
    let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs).map_err(SurveyError::during(&what));
    let (rows, dangling) = (number(0)?, number(1)?);
    let mut samples = Vec::new();
    if dangling > 0 {
        let what = format!("show rows of {reference} without a row of {}", parent.name);
        samples = looking.texts(&what, &sample(table, columns, &lost)).await?;
    }
    Ok(Some(DanglingRows { rows, dangling, samples, extent }))
}

/// `99 in row 12`; only the value where rows have no key.
fn sample(table: &Table, columns: &[Ident], lost: &Sql) -> Sql {
    let text = |columns: &[Ident]| {
        sql!("concat_ws(', ', {})", join(columns.iter().map(|column| sql!("c.{}::text", column)), ", "))
    };
    let shown = match table.row_key() {
        Some(key) => sql!("{} || ' in row ' || {}", text(columns), text(&key.columns)),
        None => text(columns),
    };
    sql!("SELECT {} FROM {} LIMIT 5", shown, lost)
}
