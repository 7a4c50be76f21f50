//! Rows that attempts write: a copy of one that is there, or, where a table has none, one made up from what its columns
//! take. Keys get values of their own that no sequence is drawn for.

use std::collections::BTreeMap;

use bastide_catalog::{Column, ForeignKey};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use tokio_postgres::Client;

use super::{
    attempt::Given,
    subject::{Subject, ask, ask_gently, category},
};
use crate::{Posture, VerifyError};

/// How to write a row into one table.
pub(super) struct Rows<'a> {
    /// What each column that is written gets, where nothing else is said.
    base: Vec<(&'a Ident, Sql)>,
    /// For columns of keys, a value for each row that one attempt may write.
    fresh: BTreeMap<&'a Ident, Vec<String>>,
    /// The row that `base` takes its columns from.
    copied: Option<Given>,
    /// Values that a tenant's row needs to refer to rows of that tenant, by tenant.
    references: BTreeMap<String, BTreeMap<Ident, Option<String>>>,
}

/// One row, for whichever statement writes it, into its table or a view of it.
pub(super) struct Row<'a> {
    cells: Vec<(&'a Ident, Sql)>,
    /// What its cells are taken from.
    from: Sql,
}

impl<'a> Row<'a> {
    /// A row that is there, as it is.
    pub(super) fn whole(subject: &Subject<'a>, given: &Given) -> Self {
        let cells = subject.copied_columns().into_iter().map(|column| (column, sql!("(r).{}", column)));
        Self { cells: cells.collect(), from: from(subject, &given.literal) }
    }

    /// What of it a view shows.
    pub(super) fn only(mut self, shows: impl Fn(&Ident) -> bool) -> Self {
        self.cells.retain(|(column, _)| shows(column));
        self
    }

    pub(super) fn insert(&self, into: &QualifiedName) -> Sql {
        sql!("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE {}", into, self.columns(), self.select())
    }

    /// The branch of MERGE for what is not there.
    pub(super) fn merge(&self, into: &QualifiedName) -> Sql {
        let given = join(self.cells.iter().map(|(column, _)| sql!("given.{}", column)), ", ");
        sql!(
            "MERGE INTO {} AS target USING ({}) AS given ({}) ON false
             WHEN NOT MATCHED THEN INSERT ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
            into,
            self.select(),
            self.columns(),
            self.columns(),
            given
        )
    }

    fn columns(&self) -> Sql {
        sql!("{}", join(self.cells.iter().map(|(column, _)| *column), ", "))
    }

    fn select(&self) -> Sql {
        sql!("SELECT {}{}", join(self.cells.iter().map(|(_, value)| value), ", "), self.from)
    }
}

fn from(subject: &Subject<'_>, literal: &Sql) -> Sql {
    sql!(" FROM (SELECT {}::{} AS r) AS given", literal, subject.table.name)
}

/// Rows that one attempt may write: made for the one tenant, for the other, and the attempt's own.
pub(super) const MADE_OWN: usize = 0;
pub(super) const MADE_OTHER: usize = 1;
pub(super) const ATTEMPT: usize = 2;

impl<'a> Rows<'a> {
    /// `None` when the table has no row, and none can be made up.
    pub(super) async fn of(
        owner: &Client,
        posture: &Posture,
        subject: &Subject<'a>,
    ) -> Result<Option<Self>, VerifyError> {
        let Some(own) = &subject.own else { return Ok(None) };
        let mut rows = if own.rows > 0 {
            let Some(given) = subject.whole(owner, own, "bastide_row").await? else { return Ok(None) };
            let base = subject.copied_columns().into_iter().map(|column| (column, sql!("(r).{}", column)));
            Self {
                base: base.collect(),
                fresh: BTreeMap::new(),
                copied: Some(given),
                references: BTreeMap::new(),
            }
        } else {
            match made_up(owner, posture, subject).await? {
                Some(rows) => rows,
                None => return Ok(None),
            }
        };
        for column in keyed(subject) {
            if let Some(values) = fresh(owner, subject, column).await? {
                rows.fresh.insert(&column.name, values);
            }
        }
        Ok(Some(rows))
    }

    /// Row `number` for the tenant `key`, with `over` in place of what its columns would get.
    pub(super) fn row(
        &self,
        subject: &Subject<'a>,
        key: &str,
        number: usize,
        over: &[(Ident, Sql)],
    ) -> Row<'a> {
        self.written(subject, key, over, |column| {
            self.fresh.get(column).and_then(|values| values.get(number))
        })
    }

    /// The row that is there, key and all.
    pub(super) fn same_row(&self, subject: &Subject<'a>, key: &str, over: &[(Ident, Sql)]) -> Row<'a> {
        // A made row is in the table under the keys it was made with.
        let made = |column: &Ident| self.fresh.get(column).and_then(|values| values.get(MADE_OWN));
        self.written(subject, key, over, |column| if self.copied.is_some() { None } else { made(column) })
    }

    fn written<'s>(
        &'s self,
        subject: &Subject<'a>,
        key: &str,
        over: &[(Ident, Sql)],
        fresh: impl Fn(&Ident) -> Option<&'s String>,
    ) -> Row<'a> {
        let references = self.references.get(key);
        let value = |column: &Ident, base: &Sql| {
            let kind =
                subject.table.column(column).map_or_else(|| sql!("text"), |found| found.type_name.clone());
            let text = |text: &str| sql!("{}::{}", Literal::text(text), kind);
            if let Some((_, value)) = over.iter().find(|(name, _)| name == column) {
                value.clone()
            } else if column == subject.column {
                subject.value(key)
            } else if let Some(value) = references.and_then(|known| known.get(column)) {
                value.as_deref().map_or_else(|| sql!("NULL::{}", kind), text)
            } else {
                fresh(column).map_or_else(|| base.clone(), |value| text(value))
            }
        };
        let cells = self.base.iter().map(|(column, base)| (*column, value(column, base))).collect();
        match &self.copied {
            Some(given) => Row { cells, from: from(subject, &given.literal) },
            None => Row { cells, from: sql!("") },
        }
    }

    /// How a script reads the row again.
    pub(super) fn given(&self) -> Vec<Given> {
        self.copied.iter().cloned().collect()
    }

    /// The key under which the other tenant's row was made.
    pub(super) fn made_key<'c>(
        &self,
        subject: &Subject<'_>,
        columns: impl Iterator<Item = &'c Ident>,
    ) -> Vec<(Ident, Sql)> {
        columns
            .filter_map(|column| {
                let value = self.fresh.get(column)?.get(MADE_OTHER)?;
                let kind = &subject.table.column(column)?.type_name;
                Some((column.clone(), sql!("{}::{}", Literal::text(value.as_str()), kind)))
            })
            .collect()
    }

    pub(super) fn is_made_up(&self) -> bool {
        self.copied.is_none()
    }
}

/// Columns of keys that may get any value: neither the tenant's, nor one that refers to a row, nor one that picks a partition.
fn keyed<'a>(subject: &Subject<'a>) -> Vec<&'a Column> {
    let in_key = |name: &Ident| subject.table.keys.iter().any(|key| key.columns.contains(name));
    let bound = |name: &Ident| {
        name == subject.column
            || subject.table.foreign_keys.iter().any(|link| link.columns.contains(name))
            || subject.table.partition_columns.contains(&Some(name.clone()))
    };
    let columns = subject.table.columns.iter();
    columns
        .filter(|column| column.generated.is_none() && in_key(&column.name) && !bound(&column.name))
        .collect()
}

/// Values that are not in the table yet, as far as that can be had cheaply; else the row's own, which then meets its key.
async fn fresh(
    owner: &Client,
    subject: &Subject<'_>,
    column: &Column,
) -> Result<Option<Vec<String>>, VerifyError> {
    let kind = &column.type_name;
    let query = |number: u32| match category_of(kind) {
        Kind::Number => Some(sql!(
            "SELECT (coalesce(max({}), 0) + {})::{}::text FROM {}",
            column.name,
            number,
            kind,
            subject.table.name
        )),
        Kind::Text => {
            Some(sql!("SELECT md5(random()::text || {})::{}::text", Literal::text(number.to_string()), kind))
        }
        Kind::Uuid => Some(sql!("SELECT gen_random_uuid()::text")),
        Kind::Other => None,
    };
    let mut values = Vec::new();
    for number in 1..=3 {
        let Some(query) = query(number) else { return Ok(None) };
        let Some(value) = ask_gently(owner, &query).await? else { return Ok(None) };
        values.push(value);
    }
    Ok(Some(values))
}

enum Kind {
    Number,
    Text,
    Uuid,
    Other,
}

/// By the name `format_type` prints, so that the usual types cost no question.
fn category_of(kind: &Sql) -> Kind {
    let name = kind.as_str();
    let begins = |names: &[&str]| names.iter().any(|known| name.starts_with(known));
    if name.ends_with("[]") {
        Kind::Other
    } else if begins(&["smallint", "integer", "bigint", "numeric"]) {
        Kind::Number
    } else if begins(&["text", "character", "citext"]) {
        Kind::Text
    } else if name == "uuid" {
        Kind::Uuid
    } else {
        Kind::Other
    }
}

async fn made_up<'a>(
    owner: &Client,
    posture: &Posture,
    subject: &Subject<'a>,
) -> Result<Option<Rows<'a>>, VerifyError> {
    let mut rows =
        Rows { base: Vec::new(), fresh: BTreeMap::new(), copied: None, references: BTreeMap::new() };
    for side in [&subject.own, &subject.other].into_iter().flatten() {
        let mut known = BTreeMap::new();
        for link in &subject.table.foreign_keys {
            let Some(parent) = referenced(owner, posture, subject, link, &side.key).await? else { continue };
            known.extend(parent);
        }
        rows.references.insert(side.key.clone(), known);
    }
    for column in &subject.table.columns {
        let refers = rows.references.values().any(|known| known.contains_key(&column.name));
        let drawn = column.default.as_ref().is_some_and(|default| default.as_str().contains("nextval("));
        let filled = !column.not_null || column.default.is_some() && !drawn;
        if column.generated.is_some() || filled && !refers && column.name != *subject.column {
            continue;
        }
        let Some(value) = plain_value(owner, column).await? else { return Ok(None) };
        rows.base.push((&column.name, sql!("{}::{}", Literal::text(value), column.type_name)));
    }
    Ok(Some(rows))
}

/// The columns of a foreign key, as a row of `tenant` may have them.
async fn referenced(
    owner: &Client,
    posture: &Posture,
    subject: &Subject<'_>,
    link: &ForeignKey,
    tenant: &str,
) -> Result<Option<BTreeMap<Ident, Option<String>>>, VerifyError> {
    let whose = match posture.scoped.get(&link.references) {
        Some(parent) => sql!("{} = {}", parent.tenant_column, subject.value(tenant)),
        None => sql!("true"),
    };
    let row = Subject::one_row(owner, &link.references, &link.referenced_columns, &whose).await?;
    Ok(row.map(|row| {
        let value = |column: &Ident| row.get(column).cloned().flatten();
        let pairs = link.columns.iter().zip(&link.referenced_columns);
        pairs
            .filter(|(from, _)| *from != subject.column)
            .map(|(from, to)| (from.clone(), value(to)))
            .collect()
    }))
}

/// Something a column of the type takes.
async fn plain_value(owner: &Client, column: &Column) -> Result<Option<String>, VerifyError> {
    let kind = &column.type_name;
    Ok(match category(owner, kind).await?.as_deref() {
        Some("N") => Some("1".to_owned()),
        Some("S") => Some("probe".to_owned()),
        Some("B") => Some("false".to_owned()),
        Some("A" | "U") => Some("{}".to_owned()),
        Some("T") => Some("0".to_owned()),
        Some("R") => Some("empty".to_owned()),
        Some("I") => Some("127.0.0.1".to_owned()),
        Some("D") => ask_gently(owner, &sql!("SELECT CURRENT_TIMESTAMP::{}::text", kind)).await?,
        Some("E") => ask_gently(owner, &sql!("SELECT (enum_range(NULL::{}))[1]::text", kind)).await?,
        Some("U!") => ask(owner, &sql!("SELECT gen_random_uuid()::text")).await?,
        _ => None,
    })
}
