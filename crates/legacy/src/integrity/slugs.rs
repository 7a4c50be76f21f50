//! Tenants that cannot be told apart by what should tell them apart.

use bastide_catalog::{Column, Table};
use bastide_record::{DuplicateSlug, DuplicateSlugs, Extent, SlugKind};
use bastide_sql::{Ident, QualifiedName, Sql, join, sql};

use super::{
    looking::{Looking, from},
    undeclared::words,
};
use crate::SurveyError;

const SLUGS: [&str; 10] = [
    "slug",
    "subdomain",
    "domain",
    "host",
    "hostname",
    "handle",
    "permalink",
    "shortname",
    "path",
    "username",
];
const NAMES: [&str; 5] = ["name", "code", "company", "number", "no"];
/// Whose name it is, besides the table's own: `company_name`, but not `first_name`.
const OWNERS: [&str; 8] = ["company", "shop", "store", "merchant", "tenant", "display", "business", "legal"];

/// Of every column of the root that looks like a slug, a name or a code.
pub(super) async fn duplicates(
    looking: &mut Looking<'_, '_>,
    root: &QualifiedName,
) -> Result<Vec<DuplicateSlugs>, SurveyError> {
    let table = looking.catalog.table(root).filter(|table| looking.may_read(table));
    let Some(table) = table else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for column in &table.columns {
        if let Some(kind) = kind(table, column) {
            found.extend(of_column(looking, table, &column.name, kind).await?);
        }
    }
    Ok(found)
}

fn kind(table: &Table, column: &Column) -> Option<SlugKind> {
    let typed = match column.type_name.as_str() {
        "text" => true,
        other => other.starts_with("character") || other.rsplit('.').next() == Some("citext"),
    };
    let mut named = words(&column.name);
    let last = named.pop().filter(|_| typed)?;
    if SLUGS.contains(&last.as_str()) {
        // A key tells `Shop` from `shop`; a URL does not.
        return Some(SlugKind::Slug);
    }
    let unique = table.keys.iter().any(|key| key.columns.as_slice() == [column.name.clone()]);
    let own = words(&table.name.name);
    let of_the_tenant = named.iter().all(|word| {
        OWNERS.contains(&word.as_str())
            || own.iter().any(|own| own.trim_end_matches('s') == word.trim_end_matches('s'))
    });
    (NAMES.contains(&last.as_str()) && of_the_tenant && !unique).then_some(SlugKind::Name)
}

async fn of_column(
    looking: &mut Looking<'_, '_>,
    table: &Table,
    column: &Ident,
    kind: SlugKind,
) -> Result<Option<DuplicateSlugs>, SurveyError> {
    let what = format!("look for repeated values of {}.{column}", table.name);
    let counts =
        sql!("SELECT count(*), COALESCE(sum(g.rows), 0)::bigint FROM ({}) AS g", groups(table, column, kind));
    let Some(row) = looking.row(&what, &counts).await? else { return Ok(None) };
    let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs).map_err(SurveyError::during(&what));
    let (groups_found, rows) = (number(0)?, number(1)?);
    if groups_found == 0 {
        return Ok(None);
    }
    let most = sql!(
        "SELECT g.value, g.keys FROM ({}) AS g ORDER BY g.rows DESC, g.value LIMIT 5",
        groups(table, column, kind)
    );
    let shown = looking.rows(&what, &most).await?.unwrap_or_default();
    let samples = shown.iter().map(|row| Ok(DuplicateSlug { value: row.try_get(0)?, keys: row.try_get(1)? }));
    Ok(Some(DuplicateSlugs {
        table: table.name.clone(),
        column: column.clone(),
        kind,
        groups: groups_found,
        rows,
        samples: samples.collect::<Result<_, _>>().map_err(SurveyError::during(&what))?,
    }))
}

/// Empty values are none.
fn groups(table: &Table, column: &Ident, kind: SlugKind) -> Sql {
    let value = sql!("btrim(c.{}::text)", column);
    let compared = match kind {
        SlugKind::Slug => sql!("lower({})", value),
        SlugKind::Name => value.clone(),
    };
    let key = table.row_key().map(|key| key.columns.as_slice()).unwrap_or_default();
    let key = if key.is_empty() {
        sql!("c.ctid::text")
    } else {
        sql!("concat_ws(', ', {})", join(key.iter().map(|column| sql!("c.{}", column)), ", "))
    };
    sql!(
        "SELECT min({}) AS value, count(*) AS rows, (array_agg({} ORDER BY {}))[1:5] AS keys FROM {} WHERE {} <> '' GROUP BY {} HAVING count(*) > 1",
        value,
        key,
        key,
        from(table, &sql!("c"), Extent::Whole),
        value,
        compared
    )
}
