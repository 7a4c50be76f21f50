//! A scoped table with two tenants to set against each other, chosen and counted by the owner.

use bastide_catalog::{Identity, Table};
use bastide_sql::{Ident, Literal, Sql, sql};
use tokio_postgres::Client;

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
    /// A tenant that has rows here; `None` when the table is empty.
    pub(super) own: Option<Side>,
    /// Another one, made up when there is only one.
    pub(super) other: Option<Side>,
}

#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) key: String,
    /// As the owner counts them; in production only whether there are any (1).
    pub(super) rows: u64,
}

impl<'a> Subject<'a> {
    pub(super) async fn choose(
        owner: &Client,
        posture: &'a Posture,
        table: &'a Table,
        scoped: &'a Scoped,
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
        };
        let first = sql!("SELECT {}::text FROM {} WHERE {} IS NOT NULL LIMIT 1", column, table.name, column);
        let Some(own) = ask(owner, &first).await? else { return Ok(Some(subject)) };
        let second = sql!(
            "SELECT {}::text FROM {} WHERE {} <> {} LIMIT 1",
            column,
            table.name,
            column,
            subject.value(&own)
        );
        let other = ask(owner, &second).await?;
        subject.other = match other {
            Some(key) => Some(subject.side(owner, key, production).await?),
            None => subject.made_up(owner, &own).await?.map(|key| Side { key, rows: 0 }),
        };
        subject.own = Some(subject.side(owner, own, production).await?);
        Ok(Some(subject))
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

    async fn side(&self, owner: &Client, key: String, production: bool) -> Result<Side, VerifyError> {
        let rows = if production { 1 } else { self.count(owner, &key).await? };
        Ok(Side { key, rows })
    }

    /// A key of the column's type that has no rows here.
    async fn made_up(&self, owner: &Client, own: &str) -> Result<Option<String>, VerifyError> {
        let category = sql!(
            "SELECT CASE WHEN typname = 'uuid' THEN 'U!' ELSE typcategory::text END FROM pg_catalog.pg_type
             WHERE oid = {}::regtype",
            Literal::text(self.kind.as_str())
        );
        match ask(owner, &category).await?.as_deref() {
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
    pub(super) fn harmless_column(&self) -> Option<&Ident> {
        let writable = |name: &Ident| {
            let column = self.table.column(name)?;
            (column.generated.is_none() && column.identity != Some(Identity::Always)).then_some(())
        };
        let mut names =
            std::iter::once(self.column).chain(self.table.columns.iter().map(|column| &column.name));
        names.find(|name| writable(name).is_some())
    }

    /// Columns a row can be copied by.
    pub(super) fn copied_columns(&self) -> Vec<&Ident> {
        self.table
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
            .map(|column| &column.name)
            .collect()
    }
}

/// One value, as the owner, unfiltered and within limits; NULL and no row are both `None`.
pub(super) async fn ask(owner: &Client, query: &Sql) -> Result<Option<String>, VerifyError> {
    let reading = "rows to probe with";
    let begin = "BEGIN READ ONLY; SET LOCAL row_security = off; SET LOCAL statement_timeout = '60s'";
    owner.batch_execute(begin).await.map_err(VerifyError::reading(reading))?;
    let row = owner.query_opt(query.as_str(), &[]).await;
    owner.batch_execute("ROLLBACK").await.map_err(VerifyError::reading(reading))?;
    Ok(row.map_err(VerifyError::reading(reading))?.and_then(|row| row.get(0)))
}
