//! Foreign keys that nobody declared, found by looking whether a key has the values of a column.
//!
//! A bounded number of distinct values is looked up, and the server's index on the key answers. Small numbers are in every
//! key, so of those the name has to speak as well; texts and uuids speak for themselves.

mod candidates;
mod grade;
mod names;

use std::cmp::Reverse;

use bastide_plan::{Config, Declarations, DeclaredReference};
use bastide_record::{Extent, Strength, SuggestedReference};
use bastide_sql::{QualifiedName, Sql, join, sql};
use tokio_postgres::Row;

pub(super) use self::names::words;
use self::{
    candidates::{Candidate, CandidateKey, Family, candidates},
    grade::Seen,
};
use super::{
    dangling,
    looking::{Looking, at_most, columns_of, estimated_rows, from, has_parent, present},
};
use crate::SurveyError;

/// Distinct values looked at, and rows read for them.
const VALUES: u64 = 1_000;
const ROWS: u64 = 100_000;
/// Keys looked at in one statement.
const KEYS_AT_ONCE: usize = 16;

/// Best first. What the operator has declared already is not suggested again.
pub(super) async fn suggested(
    looking: &mut Looking<'_, '_>,
    config: &Config,
    root: Option<&QualifiedName>,
) -> Result<Vec<SuggestedReference>, SurveyError> {
    let candidates = candidates(&looking.tables(), config);
    let mut found: Vec<SuggestedReference> = Vec::new();
    // Those whose names speak before those of which only the values can: time may be short.
    for pass in [Pass::Named, Pass::Telling, Pass::Numbers] {
        for candidate in &candidates {
            let known = |found: &[SuggestedReference]| {
                found.iter().any(|known| {
                    known.reference.table == candidate.table.name
                        && known.reference.columns == candidate.columns
                })
            };
            if known(&found) {
                continue;
            }
            let suggestion = match pass {
                Pass::Named => best(looking, candidate, root, |key| key.named).await?,
                Pass::Telling if candidate.family.is_number() => None,
                Pass::Telling => best(looking, candidate, root, |key| !key.named).await?,
                Pass::Numbers if candidate.family.is_number() => {
                    by_exhaustion(looking, candidate, root).await?
                }
                Pass::Numbers => None,
            };
            if let Some(suggestion) = suggestion.filter(|new| !found.iter().any(|old| reversed(old, new))) {
                found.push(suggestion);
            }
        }
    }
    found.sort_by_key(|found| (Reverse(found.strength), !found.tenant_code));
    Ok(found)
}

#[derive(Clone, Copy)]
enum Pass {
    Named,
    Telling,
    Numbers,
}

/// Two keys that have each other's values: one reference says it.
fn reversed(one: &SuggestedReference, other: &SuggestedReference) -> bool {
    let (one, other) = (&one.reference, &other.reference);
    (&one.table, &one.columns) == (&other.references, &other.referenced_columns)
        && (&other.table, &other.columns) == (&one.references, &one.referenced_columns)
}

async fn best(
    looking: &mut Looking<'_, '_>,
    candidate: &Candidate<'_>,
    root: Option<&QualifiedName>,
    wanted: impl Fn(&CandidateKey<'_>) -> bool,
) -> Result<Option<SuggestedReference>, SurveyError> {
    let keys: Vec<&CandidateKey<'_>> = candidate.keys.iter().filter(|key| wanted(key)).collect();
    let mut held: Vec<(Strength, Seen, &CandidateKey<'_>)> = look(looking, candidate, &keys)
        .await?
        .into_iter()
        .filter_map(|(seen, key)| Some((seen.strength()?, seen, key)))
        .collect();
    let catalog = looking.catalog;
    held.sort_by_key(|(_, seen, key)| {
        // A key that is itself a reference only repeats what it refers to.
        let repeats = key.table.foreign_keys.iter().any(|known| known.columns == key.columns);
        let primary = key.table.primary_key().is_some_and(|primary| primary.columns == key.columns);
        let likely = (repeats, Some(&key.table.name) != root, key.columns != candidate.columns, !primary);
        (Reverse(seen.contained), likely, estimated_rows(catalog, key.table), &key.table.name)
    });
    let Some(((strength, seen, key), rest)) = held.split_first() else { return Ok(None) };
    let rivals = rest.iter().map(|(.., key)| columns_of(&key.table.name, &key.columns)).collect();
    let name = match (seen.named, &candidate.family) {
        (true, Family::Composite) => ", and their names are its own",
        (true, _) => ", and the name speaks of that table",
        (false, _) => "; the name does not speak of that table",
    };
    let because = format!("{}{name}", in_words(seen, key));
    finish(looking, candidate, key, root, *seen, *strength, because, rivals).await.map(Some)
}

/// Numbers whose name says nothing: they must use up a key, and no other key may have them.
async fn by_exhaustion(
    looking: &mut Looking<'_, '_>,
    candidate: &Candidate<'_>,
    root: Option<&QualifiedName>,
) -> Result<Option<SuggestedReference>, SurveyError> {
    let catalog = looking.catalog;
    let is_small = |key: &CandidateKey<'_>| estimated_rows(catalog, key.table) <= VALUES * 2;
    let complete = at_most(catalog, candidate.table, ROWS) == Extent::Whole;
    let (small, large): (Vec<_>, Vec<_>) = candidate.keys.iter().partition(|key| is_small(key));
    let all_held = |seen: &Seen| seen.contained == seen.distinct && seen.distinct < VALUES;
    let mut held: Vec<_> = look(looking, candidate, &small).await?;
    held.retain(|(seen, _)| all_held(seen));
    let [(seen, key)] = held.as_slice() else { return Ok(None) };
    let what = format!("count {}", key.table.name);
    let count = sql!("SELECT count(*) FROM {}", from(key.table, &sql!("c"), Extent::Whole));
    let Some(row) = looking.row(&what, &count).await? else { return Ok(None) };
    let keys: i64 = row.try_get(0).map_err(SurveyError::during(&what))?;
    if !seen.exhausts(complete, keys.unsigned_abs()) {
        return Ok(None);
    }
    let others = look(looking, candidate, &large).await?;
    // A key that could not be looked at may have them too.
    if others.len() < large.len() || others.iter().any(|(seen, _)| all_held(seen)) {
        return Ok(None);
    }
    let because = format!("{}, nearly all that it has, and no other key has them", in_words(seen, key));
    finish(looking, candidate, key, root, *seen, Strength::Weak, because, Vec::new()).await.map(Some)
}

fn in_words(seen: &Seen, key: &CandidateKey<'_>) -> String {
    let of = if seen.contained == seen.distinct { "all".to_owned() } else { seen.contained.to_string() };
    let key = columns_of(&key.table.name, &key.columns);
    match seen.distinct {
        1 => format!("its only value is in {key}"),
        distinct => format!("{of} of {distinct} distinct values looked at are in {key}"),
    }
}

/// Looks the values up in every key; keys that could not be looked at are missing from the answer.
async fn look<'k, 'c>(
    looking: &mut Looking<'_, '_>,
    candidate: &Candidate<'_>,
    keys: &[&'k CandidateKey<'c>],
) -> Result<Vec<(Seen, &'k CandidateKey<'c>)>, SurveyError> {
    let mut all = Vec::new();
    for keys in keys.chunks(KEYS_AT_ONCE) {
        let columns = columns_of(&candidate.table.name, &candidate.columns);
        let many = format!("look up the values of {columns} in {} tables", keys.len());
        let together = match keys {
            [_] => None,
            _ => looking.try_rows(&many, &lookup(looking, candidate, keys)).await?,
        };
        if let Some(row) = together.and_then(|rows| rows.into_iter().next()) {
            all.extend(seen(&row, keys).map_err(SurveyError::during(&many))?);
            continue;
        }
        // One table in the way must not hide the others.
        for key in keys {
            let what = format!("look up the values of {columns} in {}", key.table.name);
            if let Some(row) = looking.row(&what, &lookup(looking, candidate, &[key])).await? {
                all.extend(seen(&row, &[key]).map_err(SurveyError::during(&what))?);
            }
        }
    }
    Ok(all)
}

/// Distinct values, telling ones, and then those that each key has.
fn seen<'k, 'c>(
    row: &Row,
    keys: &[&'k CandidateKey<'c>],
) -> Result<Vec<(Seen, &'k CandidateKey<'c>)>, tokio_postgres::Error> {
    let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
    let (distinct, telling) = (number(0)?, number(1)?);
    let of_key = |(at, key): (usize, &&'k CandidateKey<'c>)| {
        Ok((Seen { distinct, contained: number(at + 2)?, telling, named: key.named }, *key))
    };
    keys.iter().enumerate().map(of_key).collect()
}

fn lookup(looking: &Looking<'_, '_>, candidate: &Candidate<'_>, keys: &[&CandidateKey<'_>]) -> Sql {
    let Candidate { table, columns, .. } = candidate;
    let (c, v) = (sql!("c"), sql!("v"));
    let extent = at_most(looking.catalog, table, ROWS.min(looking.limits.sample_above_rows));
    let listed =
        |alias: &Sql| sql!("{}", join(columns.iter().map(|column| sql!("{}.{}", alias, column)), ", "));
    // No pattern matches under a collation that calls different bytes equal.
    let text =
        sql!("concat({}) COLLATE \"C\"", join(columns.iter().map(|column| sql!("v.{}", column)), ", "));
    let held = keys.iter().map(|key| {
        let has = has_parent(table, &v, columns, key.table, &key.columns);
        sql!(", (SELECT count(*) FROM looked_at AS v WHERE {})", has)
    });
    sql!(
        "WITH looked_at AS MATERIALIZED (
  SELECT DISTINCT {} FROM (SELECT {} FROM {} WHERE {} LIMIT {}) AS v LIMIT {}
)
SELECT (SELECT count(*) FROM looked_at),
  (SELECT count(*) FROM looked_at AS v WHERE length({}) > 2 AND {} !~ '^[-+]?[0-9]{1,6}$'){}",
        listed(&v),
        listed(&c),
        from(table, &c, extent),
        present(&c, columns),
        ROWS * 2,
        VALUES,
        text,
        text,
        join(held, "")
    )
}

#[expect(clippy::too_many_arguments, reason = "they are the fields of what it makes")]
async fn finish(
    looking: &mut Looking<'_, '_>,
    candidate: &Candidate<'_>,
    key: &CandidateKey<'_>,
    root: Option<&QualifiedName>,
    seen: Seen,
    strength: Strength,
    because: String,
    rivals: Vec<String>,
) -> Result<SuggestedReference, SurveyError> {
    let Candidate { table, columns, .. } = candidate;
    let rows = dangling::count(looking, table, columns, key.table, &key.columns).await?;
    let reference = DeclaredReference {
        table: table.name.clone(),
        columns: columns.clone(),
        references: key.table.name.clone(),
        referenced_columns: key.columns.clone(),
    };
    Ok(SuggestedReference {
        toml: toml_of(&reference),
        reference,
        tenant_code: Some(&key.table.name) == root,
        distinct: seen.distinct,
        contained: seen.contained,
        rows,
        strength,
        because,
        rivals,
    })
}

fn toml_of(reference: &DeclaredReference) -> String {
    let declarations = Declarations { references: vec![reference.clone()], ..Declarations::default() };
    // Names and lists of names always are values of TOML.
    toml::to_string(&declarations).unwrap_or_default()
}
