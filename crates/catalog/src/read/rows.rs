//! The transaction everything is read in, and rows that know what they are of, so that errors can say it.

use bastide_sql::{Ident, QualifiedName, Sql};
use tokio_postgres::{Client, IsolationLevel, Row, Transaction, types::FromSql, types::ToSql};

use super::ReadError;

/// Whatever the login has set, definitions must read the same: all names qualified, constants in one notation.
/// `pg_temp` stands last, because unnamed it would come first and could shadow a system catalog.
const SESSION: &str = "
SELECT set_config('search_path', 'pg_catalog, pg_temp', true),
       set_config('quote_all_identifiers', 'off', true),
       set_config('datestyle', 'ISO, MDY', true),
       set_config('intervalstyle', 'postgres', true),
       set_config('timezone', 'UTC', true),
       set_config('bytea_output', 'hex', true),
       set_config('extra_float_digits', '3', true)";

pub(super) struct Reader<'a>(Transaction<'a>);

impl<'a> Reader<'a> {
    pub(super) async fn begin(client: &'a mut Client) -> Result<Self, ReadError> {
        let what = "the catalog";
        let failed = |source| ReadError::Server { what, source };
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(failed)?;
        transaction.batch_execute(SESSION).await.map_err(failed)?;
        Ok(Self(transaction))
    }

    /// Behind a savepoint, which takes the settings back with it.
    pub(super) async fn within(transaction: &'a mut Transaction<'_>) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Server { what: "the catalog", source };
        let savepoint = transaction.transaction().await.map_err(failed)?;
        savepoint.batch_execute(SESSION).await.map_err(failed)?;
        Ok(Self(savepoint))
    }

    pub(super) async fn back(self) -> Result<(), ReadError> {
        self.0.rollback().await.map_err(|source| ReadError::Server { what: "the catalog", source })
    }

    pub(super) async fn end(self) -> Result<(), ReadError> {
        self.0.commit().await.map_err(|source| ReadError::Server { what: "the catalog", source })
    }

    pub(super) async fn rows(
        &self,
        what: &'static str,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Record>, ReadError> {
        let rows =
            self.0.query(sql, parameters).await.map_err(|source| ReadError::Server { what, source })?;
        Ok(rows.into_iter().map(|row| Record { row, what }).collect())
    }

    pub(super) async fn row(&self, what: &'static str, sql: &'static str) -> Result<Record, ReadError> {
        let row = self.0.query_one(sql, &[]).await.map_err(|source| ReadError::Server { what, source })?;
        Ok(Record { row, what })
    }
}

pub(super) struct Record {
    row: Row,
    pub(super) what: &'static str,
}

impl Record {
    pub(super) fn get<'a, T: FromSql<'a>>(&'a self, column: &'static str) -> Result<T, ReadError> {
        self.row.try_get(column).map_err(|source| ReadError::Column { what: self.what, column, source })
    }

    pub(super) fn name(&self, text: String) -> Result<Ident, ReadError> {
        Ident::new(text).map_err(|source| ReadError::Name { what: self.what, source })
    }

    pub(super) fn ident(&self, column: &'static str) -> Result<Ident, ReadError> {
        self.name(self.get(column)?)
    }

    pub(super) fn ident_or_none(&self, column: &'static str) -> Result<Option<Ident>, ReadError> {
        self.get::<Option<String>>(column)?.map(|text| self.name(text)).transpose()
    }

    pub(super) fn idents(&self, column: &'static str) -> Result<Vec<Ident>, ReadError> {
        self.get::<Vec<String>>(column)?.into_iter().map(|text| self.name(text)).collect()
    }

    /// A list in which NULL stands for an expression.
    pub(super) fn idents_or_none(&self, column: &'static str) -> Result<Vec<Option<Ident>>, ReadError> {
        let texts = self.get::<Vec<Option<String>>>(column)?;
        texts.into_iter().map(|text| text.map(|text| self.name(text)).transpose()).collect()
    }

    pub(super) fn qualified(
        &self,
        schema: &'static str,
        name: &'static str,
    ) -> Result<QualifiedName, ReadError> {
        Ok(QualifiedName::new(self.ident(schema)?, self.ident(name)?))
    }

    /// A definition the server renders for an object it must still have; NULL when that was dropped meanwhile.
    pub(super) fn definition(&self, column: &'static str) -> Result<Sql, ReadError> {
        self.sql_or_none(column)?.ok_or(ReadError::Changing { what: self.what })
    }

    pub(super) fn sql_or_none(&self, column: &'static str) -> Result<Option<Sql>, ReadError> {
        Ok(self.get::<Option<String>>(column)?.map(Sql::trusted))
    }

    /// Reads a one-letter code of the catalogs by a table of its meanings.
    pub(super) fn code<T: Copy>(&self, column: &'static str, meanings: &[(&str, T)]) -> Result<T, ReadError> {
        let value: String = self.get(column)?;
        let meaning = meanings.iter().find(|(code, _)| *code == value).map(|(_, meaning)| *meaning);
        meaning.ok_or(ReadError::Unknown { what: self.what, column, value })
    }
}
