//! What a right policy looks like, in this server's own words.
//!
//! Comparing predicates by text only works when both texts come from the same printer. So the expected policy is made
//! on a temporary copy of the tenant column (same name, same type), read back with `pg_get_expr`, and rolled back. No
//! regular expression has to know how versions print casts, sub-selects and quoted names.

use std::collections::{BTreeMap, BTreeSet};

use bastide_sql::{Ident, QualifiedName, Sql, sql};
use tokio_postgres::Transaction;

use super::Scoped;
use crate::VerifyError;

/// A policy's two halves as `pg_get_expr` prints them with only `pg_catalog` on the search path.
pub(super) type Halves = (Option<String>, Option<String>);

/// What is right for one tenant column.
pub(super) struct Expected {
    /// The type the setting is cast to: the column's, without a length.
    pub(super) kind: Sql,
    pub(super) predicates: Vec<String>,
}

/// A cast to `varchar(20)` cuts a longer value down in silence, and so to what may be another tenant's key: of text types
/// only the one without a length is right. Others may carry their modifier.
pub(super) async fn expected(
    transaction: &Transaction<'_>,
    table: &QualifiedName,
    column: &Ident,
    serial: usize,
) -> Result<Option<Expected>, VerifyError> {
    let reading = "how this server prints the expected policy";
    let types = transaction
        .query_opt(
            "SELECT format_type(a.atttypid, CASE t.typcategory WHEN 'S' THEN -1 ELSE a.atttypmod END),
                    format_type(a.atttypid, -1)
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
             JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped",
            &[&table.schema.as_str(), &table.name.as_str(), &column.as_str()],
        )
        .await
        .map_err(VerifyError::reading(reading))?;
    let Some(types) = types else { return Ok(None) };
    let copy = Ident::new(format!("bastide_expected_{serial}"))?;
    let full = Sql::trusted(types.get::<_, String>(0));
    let bare = Sql::trusted(types.get::<_, String>(1));
    let make = sql!(
        "CREATE TEMPORARY TABLE pg_temp.{} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA;
         CREATE POLICY a ON pg_temp.{} USING ({} = (SELECT bastide.current_tenant()::{}));
         CREATE POLICY b ON pg_temp.{} USING ({} = (SELECT bastide.current_tenant()::{}))",
        copy,
        column,
        table,
        copy,
        column,
        full,
        copy,
        column,
        bare
    );
    transaction.batch_execute(make.as_str()).await.map_err(VerifyError::reading(reading))?;
    let rows = transaction
        .query(
            "SELECT DISTINCT pg_get_expr(polqual, polrelid) FROM pg_policy
             WHERE polrelid = (SELECT oid FROM pg_class WHERE relname = $1 AND relnamespace = pg_my_temp_schema())",
            &[&copy.as_str()],
        )
        .await
        .map_err(VerifyError::reading(reading))?;
    Ok(Some(Expected { kind: bare, predicates: rows.iter().map(|row| row.get(0)).collect() }))
}

/// The body of `bastide.current_tenant` as it ought to be.
pub(super) async fn expected_context_body(
    transaction: &Transaction<'_>,
    sealed: bool,
) -> Result<String, VerifyError> {
    let reading = "how this server prints the context function";
    let body = match sealed {
        false => sql!("NULLIF(current_setting('bastide.tenant', true), '')"),
        true => sql!("bastide.open_seal(NULLIF(current_setting('bastide.tenant', true), ''))"),
    };
    let make =
        sql!("CREATE FUNCTION pg_temp.bastide_expected() RETURNS text LANGUAGE sql STABLE RETURN {}", body);
    transaction.batch_execute(make.as_str()).await.map_err(VerifyError::reading(reading))?;
    let row = transaction
        .query_one(
            "SELECT pg_get_function_sqlbody(oid) FROM pg_proc
             WHERE proname = 'bastide_expected' AND pronamespace = pg_my_temp_schema()",
            &[],
        )
        .await
        .map_err(VerifyError::reading(reading))?;
    Ok(row.get(0))
}

/// The bodies of `bastide.set_tenant` that are right: transaction-local, and failing on what is no key.
pub(super) async fn expected_setter_bodies(
    transaction: &Transaction<'_>,
    scoped: &BTreeMap<QualifiedName, Scoped>,
    sealed: bool,
) -> Result<Vec<String>, VerifyError> {
    let reading = "how this server prints the context function";
    let kinds: BTreeSet<&Sql> = scoped.values().map(|entry| &entry.kind).collect();
    for (serial, kind) in kinds.into_iter().enumerate() {
        let value = match sealed {
            false => sql!("COALESCE((NULLIF(v, '')::{})::text, '')", kind),
            true => sql!(
                "CASE WHEN NULLIF(substr(v, 71 + length(split_part(v, '.', 2)) + length(split_part(v, '.', 3))), '')::{} IS NULL
                 THEN COALESCE(v, '') ELSE v END",
                kind
            ),
        };
        let make = sql!(
            "CREATE FUNCTION pg_temp.{}(v text) RETURNS void LANGUAGE sql BEGIN ATOMIC
             SELECT pg_catalog.set_config('bastide.tenant', {}, true); END",
            Ident::new(format!("bastide_setter_{serial}"))?,
            value
        );
        transaction.batch_execute(make.as_str()).await.map_err(VerifyError::reading(reading))?;
    }
    let rows = transaction
        .query(
            "SELECT pg_get_function_sqlbody(oid) FROM pg_proc
             WHERE proname LIKE 'bastide\\_setter\\_%' AND pronamespace = pg_my_temp_schema()",
            &[],
        )
        .await
        .map_err(VerifyError::reading(reading))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Every policy there is, printed in this transaction and so under the same search path as the expected one.
pub(super) async fn actual(
    transaction: &Transaction<'_>,
) -> Result<BTreeMap<(QualifiedName, Ident), Halves>, VerifyError> {
    let rows = transaction
        .query(
            "SELECT n.nspname::text, c.relname::text, p.polname::text, pg_get_expr(p.polqual, p.polrelid),
                    pg_get_expr(p.polwithcheck, p.polrelid)
             FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace",
            &[],
        )
        .await
        .map_err(VerifyError::reading("the policies"))?;
    rows.iter()
        .map(|row| {
            let table = QualifiedName::new(
                Ident::new(row.get::<_, String>(0))?,
                Ident::new(row.get::<_, String>(1))?,
            );
            Ok(((table, Ident::new(row.get::<_, String>(2))?), (row.get(3), row.get(4))))
        })
        .collect()
}
