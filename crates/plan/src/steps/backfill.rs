//! Copies what inference recorded into the tenant column, in keyset batches, without firing user triggers.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::session;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// Of the inference whose findings it writes.
    pub pass: u32,
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// Empty for a table without a key: rows are then known by a hash of their original columns.
    pub key: Vec<(Ident, TypeName)>,
    pub original_columns: Vec<Ident>,
    /// The column was there before: undoing puts NULL back into the rows this run filled. An added column just goes.
    pub reused: bool,
}

impl Backfill {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}:{}", self.table, self.column, self.pass)
    }

    pub(super) fn describe(&self) -> String {
        if self.pass == 1 {
            format!("fill {}.{}", self.table, self.column)
        } else {
            format!("fill {}.{} of rows written meanwhile", self.table, self.column)
        }
    }

    pub(super) fn forward(&self) -> Script {
        let value = sql!("found.tenant::{}", self.type_name);
        let pending = sql!("t.{} IS NULL", self.column);
        self.script(&value, &pending)
    }

    /// NULL goes back only where the value is still the one this run wrote: what was written since stays.
    pub(super) fn inverse(&self) -> Script {
        if !self.reused {
            return Script::nothing();
        }
        let ours = sql!("t.{} = found.tenant::{}", self.column, self.type_name);
        self.script(&sql!("NULL"), &ours)
    }

    fn script(&self, value: &Sql, condition: &Sql) -> Script {
        if self.key.is_empty() {
            let prelude = [session::silent(), session::canonical_text()].concat();
            return Script::batches(self.table.clone(), prelude, self.by_pages(value, condition));
        }
        let mut prelude = session::silent();
        // A small batch must find its rows through the key: with the default costs the planner reads the whole table,
        // once per batch.
        prelude.extend([
            sql!("SET LOCAL enable_hashjoin = off"),
            sql!("SET LOCAL enable_mergejoin = off"),
            sql!("SET LOCAL enable_seqscan = off"),
        ]);
        prelude.extend(session::canonical_text());
        Script::batches(self.table.clone(), prelude, self.by_key(value, condition))
    }

    /// Walks `bastide.assignment` by its sequence; the cursor is the last number seen.
    fn by_key(&self, value: &Sql, condition: &Sql) -> Sql {
        let matches = self.key.iter().enumerate().map(|(at, (column, type_name))| {
            sql!("t.{} = (found.key->>{})::{}", column, at, type_name)
        });
        sql!(
            "WITH found AS MATERIALIZED (
    SELECT seq, key, tenant FROM bastide.assignment
    WHERE run_id = current_setting('bastide.run')::uuid AND relation = {} AND seq > COALESCE($1::text::bigint, 0)
    ORDER BY seq LIMIT $2::bigint
), changed AS (
    UPDATE ONLY {} AS t SET {} = {} FROM found
    WHERE {} AND found.tenant IS NOT NULL AND {}
    RETURNING 1
)
SELECT (SELECT CASE WHEN count(*) = $2::bigint THEN max(seq)::text END FROM found), (SELECT count(*) FROM changed)",
            self.relation(),
            self.table,
            self.column,
            value,
            join(matches, " AND "),
            condition
        )
    }

    /// Walks the table's pages; the cursor is the next page. A row that moves while this runs keeps its NULL and is found
    /// by the second pass.
    fn by_pages(&self, value: &Sql, condition: &Sql) -> Sql {
        let originals = self.original_columns.iter().map(|column| sql!("t.{}", column));
        sql!(
            "WITH span AS MATERIALIZED (
    SELECT first, first + GREATEST(1, $2::bigint / 50) AS beyond
    FROM (SELECT COALESCE($1::text::bigint, 0) AS first) AS cursor
), seen AS MATERIALIZED (
    SELECT t.ctid AS at, 'md5:' || md5(ROW({})::text) AS hash FROM ONLY {} AS t
    WHERE t.ctid >= (SELECT format('(%s,0)', first)::tid FROM span)
      AND t.ctid < (SELECT format('(%s,0)', LEAST(beyond, 4294967295))::tid FROM span)
), found AS MATERIALIZED (
    SELECT DISTINCT seen.at, a.tenant FROM seen JOIN bastide.assignment AS a ON a.key->>0 = seen.hash
    WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = {} AND a.tenant IS NOT NULL
), changed AS (
    UPDATE ONLY {} AS t SET {} = {} FROM found
    WHERE t.ctid = found.at AND {}
    RETURNING 1
)
SELECT (SELECT CASE WHEN beyond * current_setting('block_size')::bigint < pg_relation_size({}::regclass) THEN beyond::text END FROM span),
    (SELECT count(*) FROM changed)",
            join(originals, ", "),
            self.table,
            self.relation(),
            self.table,
            self.column,
            value,
            condition,
            self.relation()
        )
    }

    fn relation(&self) -> Literal {
        Literal::text(sql!("{}", self.table).as_str())
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}
