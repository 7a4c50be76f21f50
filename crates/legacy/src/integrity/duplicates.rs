//! Keys that a tenant would have for itself: those that hold over all tenants today, and those that nobody declared.

use std::collections::BTreeMap;

use bastide_catalog::{Catalog, KeyKind, Table};
use bastide_plan::inference::{self, Graph, Node};
use bastide_record::{Duplicates, Extent, GlobalKey};
use bastide_sql::{Ident, Sql};

use super::{
    looking::{Looking, columns_of, estimated_rows},
    undeclared::words,
};
use crate::SurveyError;

/// Longer values are somebody's prose.
const LONGEST_KEY: f64 = 64.0;
/// Fewer rows say nothing, unless the name does.
const ENOUGH_ROWS: u64 = 20;
const NATURAL_KEYS: [&str; 17] = [
    "code",
    "sku",
    "slug",
    "email",
    "mail",
    "number",
    "no",
    "nr",
    "num",
    "ref",
    "reference",
    "key",
    "handle",
    "username",
    "login",
    "barcode",
    "ean",
];
const STATISTICS: &str = "
SELECT schemaname::text, tablename::text, attname::text, n_distinct::float8, avg_width
FROM pg_catalog.pg_stats";

/// Keys over rows of all tenants that become keys per tenant. A primary key stays what it is.
pub(super) fn global_keys(looking: &Looking<'_, '_>, graph: &Graph) -> Vec<GlobalKey> {
    let mut found = Vec::new();
    for table in scoped(looking, graph) {
        let tenant = tenant_columns(looking, graph, table);
        for key in table.keys.iter().filter(|key| key.kind != KeyKind::Primary) {
            if !key.columns.iter().any(|column| tenant.contains(&column)) {
                let (table, key, columns) = (table.name.clone(), key.name.clone(), key.columns.clone());
                found.push(GlobalKey { table, key, columns });
            }
        }
    }
    found
}

/// Runs where the survey's work tables are.
pub(super) async fn duplicates(
    looking: &mut Looking<'_, '_>,
    graph: &Graph,
) -> Result<Vec<Duplicates>, SurveyError> {
    let statistics = statistics(looking).await?;
    let mut found = Vec::new();
    let tables: Vec<&Table> = scoped(looking, graph).collect();
    for table in tables {
        let tenant = tenant_columns(looking, graph, table);
        for (columns, named) in natural_keys(table, &tenant) {
            let rows = estimated_rows(looking.catalog, table);
            if let [only] = columns.as_slice()
                && let Some(known) = statistics.get(&of(table, only))
                && !known.promises(rows, named)
            {
                continue;
            }
            found.extend(measure(looking, graph, table, &columns, named).await?);
        }
    }
    Ok(found)
}

async fn measure(
    looking: &mut Looking<'_, '_>,
    graph: &Graph,
    table: &Table,
    columns: &[Ident],
    named: bool,
) -> Result<Option<Duplicates>, SurveyError> {
    let extent = looking.extent(table);
    let percent = match extent {
        Extent::Whole => None,
        Extent::Sample { percent } => Some(percent),
    };
    let Some(script) = inference::duplicates(graph, looking.catalog, &table.name, columns, percent) else {
        return Ok(None);
    };
    let what = format!("count repeated values of {}", columns_of(&table.name, columns));
    let Some(row) = looking.row(&what, &script.counts).await? else { return Ok(None) };
    let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs).map_err(SurveyError::during(&what));
    let (rows, distinct, of_tenants) = (number(0)?, number(1)?, number(2)?);
    let (within_tenant, across_tenants, undecided) = (number(3)?, number(4)?, number(5)?);
    let length: f64 = row.try_get(6).map_err(SurveyError::during(&what))?;
    let mostly = |part: u64| part * 10 >= rows * 9;
    let looks_like_a_key = if named { mostly(of_tenants) } else { mostly(distinct) && rows >= ENOUGH_ROWS };
    if within_tenant + across_tenants + undecided == 0 || !looks_like_a_key || length > LONGEST_KEY {
        return Ok(None);
    }
    let what = format!("show repeated values of {}", columns_of(&table.name, columns));
    let samples = looking.texts(&what, &script.samples).await?;
    Ok(Some(Duplicates {
        table: table.name.clone(),
        columns: columns.to_vec(),
        rows,
        distinct,
        within_tenant,
        across_tenants,
        undecided,
        samples,
        extent,
    }))
}

/// Columns that could be a key and are none, and whether a name says so: texts, numbers by their name, and the columns of
/// an index, by which somebody looks rows up.
fn natural_keys(table: &Table, tenant: &[&Ident]) -> Vec<(Vec<Ident>, bool)> {
    let mut found: Vec<(Vec<Ident>, bool)> = Vec::new();
    for column in &table.columns {
        let name = &column.name;
        let known = table.keys.iter().any(|key| key.columns.as_slice() == [name.clone()])
            || table.foreign_keys.iter().any(|key| key.columns.contains(name))
            || table.indexes.iter().any(|index| index.unique && index.columns.contains(&Some(name.clone())))
            || tenant.contains(&name);
        let named = words(name).last().is_some_and(|word| NATURAL_KEYS.contains(&word.as_str()));
        let typed = match column.type_name.as_str() {
            "smallint" | "integer" | "bigint" => named,
            "text" => true,
            other => other.starts_with("character") || other.rsplit('.').next() == Some("citext"),
        };
        if typed && !known {
            found.push((vec![name.clone()], named));
        }
    }
    for index in table.indexes.iter().filter(|index| !index.unique && !index.partial && !index.exclusion) {
        let columns: Option<Vec<Ident>> = index.columns.iter().cloned().collect();
        let Some(columns) = columns.filter(|columns| columns.len() > 1) else { continue };
        let holds_a_key =
            table.keys.iter().any(|key| key.columns.iter().all(|column| columns.contains(column)));
        if !holds_a_key && !found.iter().any(|(known, _)| *known == columns) {
            found.push((columns, false));
        }
    }
    found
}

/// Scoped tables but the root, as people see them.
fn scoped<'a>(looking: &Looking<'a, '_>, graph: &'a Graph) -> impl Iterator<Item = &'a Table> {
    let catalog = looking.catalog;
    looking.tables().into_iter().filter(move |table| {
        nodes(catalog, graph, table).next().is_some_and(|node| node.scoped && !node.root)
    })
}

/// The columns that name the tenant already.
fn tenant_columns<'a>(looking: &Looking<'_, '_>, graph: &'a Graph, table: &Table) -> Vec<&'a Ident> {
    nodes(looking.catalog, graph, table).filter_map(|node| node.tenant.as_ref()).collect()
}

/// Where the rows of a table are: itself, or its partitions.
fn nodes<'a>(catalog: &Catalog, graph: &'a Graph, table: &Table) -> impl Iterator<Item = &'a Node> {
    let parts = inference::leaves(catalog, &table.name);
    graph.nodes.iter().filter(move |node| parts.contains(&node.table))
}

/// What the server remembers of a column.
struct Remembered {
    n_distinct: f64,
    width: i32,
}

impl Remembered {
    /// Whether it can be nearly unique. Of a column with a key's name it may be so within each tenant alone.
    fn promises(&self, rows: u64, named: bool) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a rough share")]
        let share =
            if self.n_distinct < 0.0 { -self.n_distinct } else { self.n_distinct / rows.max(1) as f64 };
        f64::from(self.width) <= 2.0 * LONGEST_KEY && (named || share >= 0.5)
    }
}

type Statistics = BTreeMap<(String, String, String), Remembered>;

async fn statistics(looking: &mut Looking<'_, '_>) -> Result<Statistics, SurveyError> {
    let what = "read what the server remembers of columns";
    let rows = looking.rows(what, &Sql::trusted(STATISTICS)).await?.unwrap_or_default();
    let read = rows.iter().map(|row| {
        let column = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok((column, Remembered { n_distinct: row.try_get(3)?, width: row.try_get(4)? }))
    });
    read.collect::<Result<_, _>>().map_err(SurveyError::during(what))
}

fn of(table: &Table, column: &Ident) -> (String, String, String) {
    let text = |name: &Ident| name.as_str().to_owned();
    (text(&table.name.schema), text(&table.name.name), text(column))
}
