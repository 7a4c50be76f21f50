//! A scoped table with two tenants to set against each other, chosen and counted by the owner; and the rows that
//! attempts copy, or make where there are none.

use std::collections::BTreeMap;

use bastide_catalog::{Identity, KeyKind, Table};
use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{
    attempt::{Actor, Given, Trial, set_tenant},
    rows::{MADE_OTHER, MADE_OWN, Rows},
};
use crate::{
    Posture, VerifyError,
    posture::{Reach, Scoped},
};

pub(super) struct Subject<'a> {
    /// As the catalog has it, for people.
    pub(super) object: String,
    pub(super) table: &'a Table,
    pub(super) column: &'a Ident,
    pub(super) kind: Sql,
    pub(super) reach: &'a Reach,
    /// A tenant that has rows here; where the table is empty, any tenant there is.
    pub(super) own: Option<Side>,
    /// Another one, made up when there is only one.
    pub(super) other: Option<Side>,
    /// How to write a row of one's own; not in production.
    pub(super) rows: Option<Rows<'a>>,
}

#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) key: String,
    /// As the owner counts them; in production only whether there are any (1).
    pub(super) rows: u64,
    /// The attempt makes a row first, in its own transaction.
    pub(super) made: bool,
}

impl Side {
    /// Rows an attempt sees, if it sees all of this tenant's.
    pub(super) fn seen(&self) -> u64 {
        self.rows + u64::from(self.made)
    }
}

impl<'a> Subject<'a> {
    /// `tenants`: keys of the tenants there are, for tables that have no rows of two.
    pub(super) async fn choose(
        owner: &Client,
        posture: &'a Posture,
        table: &'a Table,
        scoped: &'a Scoped,
        tenants: &[String],
        production: bool,
    ) -> Result<Option<Self>, VerifyError> {
        let column = &scoped.tenant_column;
        let (Some(reach), Some(found)) = (posture.reach.get(&table.name), table.column(column)) else {
            return Ok(None);
        };
        let mut subject = Self {
            object: table.name.to_string(),
            table,
            column,
            kind: found.type_name.clone(),
            reach,
            own: None,
            other: None,
            rows: None,
        };
        let first = sql!("SELECT {}::text FROM {} WHERE {} IS NOT NULL LIMIT 1", column, table.name, column);
        let with_rows = ask(owner, &first).await?;
        let Some(own) = with_rows.as_ref().or(tenants.first()).cloned() else { return Ok(Some(subject)) };
        let second = sql!(
            "SELECT {}::text FROM {} WHERE {} <> {} LIMIT 1",
            column,
            table.name,
            column,
            subject.value(&own)
        );
        let other = ask(owner, &second).await?;
        let (other, other_has_rows) = match other {
            Some(key) => (Some(key), true),
            None => match tenants.iter().find(|key| **key != own) {
                Some(key) => (Some(key.clone()), false),
                None => (subject.made_up(owner, &own).await?, false),
            },
        };
        let count = async |key: &str, any: bool| match (any, production) {
            (false, _) => Ok(0),
            (true, true) => Ok(1),
            (true, false) => subject.count(owner, key).await,
        };
        let own_rows = count(&own, with_rows.is_some()).await?;
        let other = match other {
            Some(key) => {
                let rows = count(&key, other_has_rows).await?;
                Some(Side { key, rows, made: false })
            }
            None => None,
        };
        subject.other = other;
        subject.own = Some(Side { key: own, rows: own_rows, made: false });
        Ok(Some(subject))
    }

    /// How rows are written, and rows made for the tenants that have none, where the application may and does succeed.
    pub(super) async fn make_rows(
        &mut self,
        owner: &Client,
        app: &Actor<'_>,
        posture: &Posture,
    ) -> Result<(), VerifyError> {
        self.rows = Rows::of(owner, posture, self).await?;
        if self.rows.is_none() || !self.reach.may("INSERT") {
            return Ok(());
        }
        for at_other in [false, true] {
            let side = |subject: &mut Self| -> Option<Side> {
                let side = if at_other { &subject.other } else { &subject.own };
                side.clone().filter(|side| side.rows == 0)
            };
            let Some(wanted) = side(self) else { continue };
            let set = |subject: &mut Self, made| {
                let side = if at_other { &mut subject.other } else { &mut subject.own };
                side.iter_mut().for_each(|side| side.made = made);
            };
            set(self, true);
            let cell = Cell {
                object: self.object.clone(),
                path: Path::Table,
                verb: Verb::Insert,
                context: Context::Own,
            };
            let count = sql!(
                "SELECT count(*) FROM (SELECT FROM {} WHERE {} = {} LIMIT 1) AS made",
                self.table.name,
                self.column,
                self.value(&wanted.key)
            );
            let trial = self.trial(cell, vec![set_tenant(&wanted.key), count]);
            let works = matches!(app.one(&trial).await?, Ok(answer) if answer.number(0) == 1);
            set(self, works);
        }
        Ok(())
    }

    /// An attempt in the cell's context, behind the rows it needs.
    pub(super) fn trial(&self, cell: Cell, statements: Vec<Sql>) -> Trial {
        let own = self.own.as_ref().map_or("", |side| side.key.as_str());
        let context = cell.context;
        let mut trial = Trial::new(cell, own, statements);
        let mut made = self.made();
        let has_tenant = |context| {
            use Context::{AfterReset, AfterResetAll, Empty, Malformed, Other, Own};
            matches!(context, Own | Other | Empty | Malformed | AfterReset | AfterResetAll)
        };
        if !made.is_empty() && !has_tenant(context) {
            made.push(sql!("RESET bastide.tenant"));
        }
        trial.opening.splice(0..0, made);
        trial.given = self.rows.as_ref().map(Rows::given).unwrap_or_default();
        trial
    }

    fn made(&self) -> Vec<Sql> {
        let Some(rows) = &self.rows else { return Vec::new() };
        let sides = [(&self.own, MADE_OWN), (&self.other, MADE_OTHER)].into_iter();
        sides
            .filter_map(|(side, number)| Some((side.as_ref().filter(|side| side.made)?, number)))
            .flat_map(|(side, number)| {
                let row = rows.row(self, &side.key, number, &[]);
                [set_tenant(&side.key), row.insert(&self.table.name)]
            })
            .collect()
    }

    /// A row of one tenant's as it is, as a literal of the table's type, and how a script reads it again.
    pub(super) async fn whole(
        &self,
        owner: &Client,
        side: &Side,
        variable: &'static str,
    ) -> Result<Option<Given>, VerifyError> {
        let of = |shown: Sql| {
            sql!(
                "SELECT {} FROM {} AS r WHERE {} = {} LIMIT 1",
                shown,
                self.table.name,
                self.column,
                self.value(&side.key)
            )
        };
        let row = ask(owner, &of(sql!("r::text"))).await?;
        Ok(row.map(|row| Given {
            variable,
            tenant: side.key.clone(),
            query: of(sql!("r::text AS {}", Ident::constant(variable))),
            literal: sql!("{}", Literal::text(row)),
        }))
    }

    /// A tenant's key as SQL of the column's type.
    pub(super) fn value(&self, key: &str) -> Sql {
        sql!("{}::{}", Literal::text(key), self.kind)
    }

    /// The owner's count of one tenant's rows.
    pub(super) async fn count(&self, owner: &Client, key: &str) -> Result<u64, VerifyError> {
        let count = sql!(
            "SELECT count(*)::text FROM {} WHERE {} = {}",
            self.table.name,
            self.column,
            self.value(key)
        );
        Ok(ask(owner, &count).await?.and_then(|text| text.parse().ok()).unwrap_or_default())
    }

    /// A key of the column's type that has no rows here.
    async fn made_up(&self, owner: &Client, own: &str) -> Result<Option<String>, VerifyError> {
        match category(owner, &self.kind).await?.as_deref() {
            Some("U!") => ask(owner, &sql!("SELECT gen_random_uuid()::text")).await,
            Some("N") => {
                ask(owner, &sql!("SELECT (max({}) + 1)::text FROM {}", self.column, self.table.name)).await
            }
            Some("S") => {
                // The same length, so that it fits where the type has one.
                let last = if own.ends_with('~') { '^' } else { '~' };
                let mut key: String = own.chars().take(own.chars().count().saturating_sub(1)).collect();
                key.push(last);
                Ok(Some(key))
            }
            _ => Ok(None),
        }
    }

    /// A column the application may set to itself: the tenant's own where it can be written at all.
    pub(super) fn harmless_column(&self) -> &'a Ident {
        let writable = |name: &&Ident| {
            self.table
                .column(name)
                .is_some_and(|column| column.generated.is_none() && column.identity != Some(Identity::Always))
        };
        let mut names =
            std::iter::once(self.column).chain(self.table.columns.iter().map(|column| &column.name));
        names.find(writable).unwrap_or(self.column)
    }

    /// Columns a row can be copied by.
    pub(super) fn copied_columns(&self) -> Vec<&'a Ident> {
        let written = self.table.columns.iter().filter(|column| column.generated.is_none());
        written.map(|column| &column.name).collect()
    }

    /// The columns of a key that `ON CONFLICT` can name, the primary one first.
    pub(super) fn conflict_key(&self) -> Option<&'a [Ident]> {
        let mut keys: Vec<_> = self.table.keys.iter().filter(|key| !key.deferrable).collect();
        keys.sort_by_key(|key| key.kind != KeyKind::Primary);
        keys.first().map(|key| key.columns.as_slice())
    }

    /// Reads, by one tenant's key, columns of a table as text; `None` when there is no row.
    pub(super) async fn one_row(
        owner: &Client,
        table: &QualifiedName,
        columns: &[Ident],
        tenant: &Sql,
    ) -> Result<Option<BTreeMap<Ident, Option<String>>>, VerifyError> {
        let texts = columns.iter().map(|column| sql!("{}::text", column));
        let query = sql!("SELECT {} FROM {} WHERE {} LIMIT 1", join(texts, ", "), table, tenant);
        let row = ask_row(owner, &query).await?;
        Ok(row.map(|row| columns.iter().cloned().zip(row).collect()))
    }
}

/// One letter, as `pg_type.typcategory`; `U!` for uuid.
pub(super) async fn category(owner: &Client, kind: &Sql) -> Result<Option<String>, VerifyError> {
    let category = sql!(
        "SELECT CASE WHEN typname = 'uuid' THEN 'U!' ELSE typcategory::text END FROM pg_catalog.pg_type
         WHERE oid = {}::regtype",
        Literal::text(kind.as_str())
    );
    ask(owner, &category).await
}

/// One value, as the owner, unfiltered and within limits; NULL and no row are both `None`.
pub(super) async fn ask(owner: &Client, query: &Sql) -> Result<Option<String>, VerifyError> {
    Ok(ask_row(owner, query).await?.and_then(|row| row.into_iter().next().flatten()))
}

/// The first row, in one message there and back.
pub(super) async fn ask_row(owner: &Client, query: &Sql) -> Result<Option<Vec<Option<String>>>, VerifyError> {
    let reading = "rows to probe with";
    let message = sql!(
        "BEGIN READ ONLY; SET LOCAL row_security = off; SET LOCAL statement_timeout = '60s';
         SET LOCAL lock_timeout = '2s'; {}; ROLLBACK",
        query
    );
    match owner.simple_query(message.as_str()).await {
        Ok(answer) => Ok(answer.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            }
            _ => None,
        })),
        Err(error) => {
            owner.batch_execute("ROLLBACK").await.map_err(VerifyError::reading(reading))?;
            Err(VerifyError::reading(reading)(error))
        }
    }
}

/// The same where an answer is a help and not a must.
pub(super) async fn ask_gently(owner: &Client, query: &Sql) -> Result<Option<String>, VerifyError> {
    match ask(owner, query).await {
        Err(VerifyError::Read { source, .. }) if source.as_db_error().is_some() => Ok(None),
        answer => answer,
    }
}
