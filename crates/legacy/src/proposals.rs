//! Groups of rows that nothing reaches: how large they are, which row stands for them, and what they would be called.

use std::collections::BTreeSet;

use bastide_catalog::{Catalog, Table};
use bastide_plan::{
    Config, Proposal, Survey,
    classify::{Classification, slug},
    inference::{self, Graph, MOST_ROWS},
    proposed, slug_column,
};
use bastide_sql::{Ident, sql};
use tokio_postgres::{Row, Transaction};

use crate::{SurveyError, quarantine::not_taken, survey::Progress};

const WHAT: &str = "group the rows that nothing reaches";

/// Keys shown of each group.
const SAMPLES: i64 = 3;

/// A column that may say what a shop is called: a hint, and no more than a name hangs on it.
const NAMES: [&str; 6] = ["name", "title", "company", "shop", "store", "brand"];

/// Domains that say nothing about who somebody works for.
const PUBLIC_MAIL: [&str; 12] = [
    "gmail.com",
    "googlemail.com",
    "yahoo.com",
    "hotmail.com",
    "outlook.com",
    "live.com",
    "icloud.com",
    "aol.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "proton.me",
];

/// Fills in [`Survey::proposals`]; the rounds of inference have run.
pub(crate) async fn find(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    config: &Config,
    classes: &Classification,
    graph: &Graph,
    survey: &mut Survey,
    progress: Progress<'_>,
) -> Result<(), SurveyError> {
    let wanted = &config.declared.new_tenants;
    let script = inference::components(graph);
    let failed = || SurveyError::during(WHAT);
    let rows = transaction.query_one(script.rows.as_str(), &[]).await.map_err(failed())?;
    let rows = number(&rows, 0)?;
    if rows == 0 || rows < wanted.at_least {
        return Ok(());
    }
    if rows > MOST_ROWS {
        survey.not_grouped = Some(format!(
            "nothing reaches {rows} rows, too many to look for lost tenants among them; a [[reference]] or a [[rule]] in \
             bastide.toml may say whose they are"
        ));
        return Ok(());
    }
    progress("grouping the rows that nothing reaches");
    for statement in &script.prepare {
        transaction.batch_execute(statement.as_str()).await.map_err(failed())?;
    }
    let (least, most) = (i64::try_from(wanted.at_least).unwrap_or(i64::MAX), i64::from(wanted.at_most));
    let groups = transaction.query(script.largest.as_str(), &[&least, &most]).await.map_err(failed())?;
    let mut slugs = slugs(transaction, catalog, config, classes).await?;
    for group in groups {
        let label: i64 = group.try_get(0).map_err(failed())?;
        let found = transaction.query(script.members.as_str(), &[&label]).await.map_err(failed())?;
        let mut members = Vec::new();
        for row in &found {
            let node: i32 = row.try_get(0).map_err(failed())?;
            members.push((usize::try_from(node).unwrap_or_default(), number(row, 1)?));
        }
        let group = Group { label, members };
        let Some(mut proposal) = propose(transaction, catalog, graph, &group, &mut slugs).await? else {
            continue;
        };
        if let Ok(step) = proposed(catalog, &classes.root, |table| classes.class(table), &proposal) {
            proposal.refused = not_taken(transaction, step).await?;
        }
        survey.proposals.push(proposal);
    }
    Ok(())
}

struct Group {
    label: i64,
    /// Nodes and how many of their rows.
    members: Vec<(usize, u64)>,
}

/// `None` for a group without a table that has a key: no row could stand for it.
async fn propose(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    graph: &Graph,
    group: &Group,
    slugs: &mut BTreeSet<String>,
) -> Result<Option<Proposal>, SurveyError> {
    // Fewest rows: what the others hang on.
    let keyed = group.members.iter().filter(|(n, _)| !graph.nodes[*n].key.is_empty());
    let Some(&(anchor, _)) = keyed.min_by_key(|(n, rows)| (*rows, *n)) else { return Ok(None) };
    let node = &graph.nodes[anchor];
    let keys = values(transaction, graph, group, anchor, &node.key, SAMPLES + 1).await?;
    let Some((key, samples)) = keys.split_first() else { return Ok(None) };
    let key: Vec<String> = key.iter().flatten().cloned().collect();
    let (name, named_by) = match name(transaction, catalog, graph, group).await? {
        Some(named) => named,
        None => {
            (format!("{} {}", node.table.name, key.join(" ")), "after the row that stands for it".to_owned())
        }
    };
    Ok(Some(Proposal {
        table: node.table.clone(),
        key,
        rows: group.members.iter().map(|(_, rows)| rows).sum(),
        tables: group.members.iter().map(|(n, rows)| (graph.nodes[*n].table.clone(), *rows)).collect(),
        slug: free_slug(&name, slugs),
        name,
        named_by,
        samples: samples
            .iter()
            .map(|key| key.iter().flatten().cloned().collect::<Vec<_>>().join(", "))
            .collect(),
        refused: None,
    }))
}

/// The best evidence there is: the name in a table that has one row of the group; the domain that most e-mail addresses have;
/// the first name in the smallest table that has names.
async fn name(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    graph: &Graph,
    group: &Group,
) -> Result<Option<(String, String)>, SurveyError> {
    let mut members = group.members.clone();
    members.sort_by_key(|(n, rows)| (*rows, *n));
    let mut first = None;
    for &(n, rows) in &members {
        let Some(table) = catalog.table(&graph.nodes[n].table) else { continue };
        for column in text_columns(table).filter(|column| hints_at_a_name(column)) {
            let found = values(transaction, graph, group, n, std::slice::from_ref(column), 1).await?;
            let Some(value) = found.into_iter().flatten().flatten().find(|value| !value.trim().is_empty())
            else {
                continue;
            };
            let value: String = value.trim().chars().filter(|c| !c.is_control()).take(80).collect();
            let named = (value, format!("{}.{column}", table.name));
            if rows == 1 {
                return Ok(Some(named));
            }
            first.get_or_insert(named);
        }
    }
    for &(n, _) in &members {
        let Some(table) = catalog.table(&graph.nodes[n].table) else { continue };
        for column in text_columns(table) {
            let query = graph.domain_of_group(n, column);
            let found = transaction
                .query_opt(query.as_str(), &[&group.label])
                .await
                .map_err(SurveyError::during(WHAT))?;
            let Some(row) = found else { continue };
            let domain: String = row.try_get(0).map_err(SurveyError::during(WHAT))?;
            let (rows, addresses) = (number(&row, 1)?, number(&row, 2)?);
            if rows * 2 > addresses && rows > 1 && !PUBLIC_MAIL.contains(&domain.as_str()) {
                let by = format!("the domain of {rows} of {addresses} addresses in {}.{column}", table.name);
                return Ok(Some((domain, by)));
            }
        }
    }
    Ok(first)
}

fn text_columns(table: &Table) -> impl Iterator<Item = &Ident> {
    let text =
        |kind: &str| kind == "text" || kind.starts_with("character varying") || kind.ends_with("citext");
    table.columns.iter().filter(move |column| text(column.type_name.as_str())).map(|column| &column.name)
}

fn hints_at_a_name(column: &Ident) -> bool {
    let name = column.as_str().to_lowercase();
    // A person's name is not a shop's.
    let person =
        ["first", "last", "user", "sur", "middle", "nick", "file"].iter().any(|word| name.contains(word));
    !person && NAMES.iter().any(|hint| name == *hint || name.ends_with(&format!("_{hint}")))
}

/// A slug that no tenant and no other proposal has.
fn free_slug(name: &str, taken: &mut BTreeSet<String>) -> String {
    let plain: String = slug(name).chars().take(50).collect();
    let plain = plain.trim_matches('-').to_owned();
    let numbered = (2..).map(|number| format!("{plain}-{number}"));
    let free = std::iter::once(plain.clone()).chain(numbered).find(|slug| !taken.contains(slug));
    let free = free.unwrap_or(plain);
    taken.insert(free.clone());
    free
}

/// Those the root has, and those that quarantine and categories take.
async fn slugs(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    config: &Config,
    classes: &Classification,
) -> Result<BTreeSet<String>, SurveyError> {
    let mut slugs = BTreeSet::from(["quarantine".to_owned()]);
    slugs.extend(config.declared.new_tenants.of_categories.iter().map(|category| slug(category)));
    if let Some(column) = slug_column(catalog, &classes.root) {
        let query = sql!("SELECT {}::text FROM {} WHERE {} IS NOT NULL", column, classes.root.table, column);
        for row in transaction.query(query.as_str(), &[]).await.map_err(SurveyError::during(WHAT))? {
            slugs.insert(row.try_get(0).map_err(SurveyError::during(WHAT))?);
        }
    }
    Ok(slugs)
}

async fn values(
    transaction: &Transaction<'_>,
    graph: &Graph,
    group: &Group,
    n: usize,
    columns: &[Ident],
    most: i64,
) -> Result<Vec<Vec<Option<String>>>, SurveyError> {
    let query = graph.values_of_group(n, columns);
    let rows =
        transaction.query(query.as_str(), &[&group.label, &most]).await.map_err(SurveyError::during(WHAT))?;
    rows.iter()
        .map(|row| (0..columns.len()).map(|at| row.try_get(at)).collect())
        .collect::<Result<_, tokio_postgres::Error>>()
        .map_err(SurveyError::during(WHAT))
}

fn number(row: &Row, at: usize) -> Result<u64, SurveyError> {
    row.try_get::<_, i64>(at).map(i64::unsigned_abs).map_err(SurveyError::during(WHAT))
}
