//! Copies what inference recorded into the tenant column, in keyset batches, without firing user triggers.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::session;
use crate::{
    Script,
    inference::{self, CHUNK},
};

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
    /// The quarantine tenant, when the pass took another look at its rows; undoing puts them back there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopens: Option<String>,
}

/// What was recorded of a row that has no key, when a pass ran more than once.
#[derive(Clone, Copy)]
enum Found {
    /// For filling: what it found last.
    Last,
    /// For undoing: whatever it may have filled.
    Ever,
}

impl Backfill {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}:{}", self.table, self.column, self.pass)
    }

    pub(super) fn describe(&self) -> String {
        if self.reopens.is_some() {
            format!("take rows of {} out of quarantine", self.table)
        } else if self.pass == 1 {
            format!("fill {}.{}", self.table, self.column)
        } else {
            format!("fill {}.{} of rows written meanwhile", self.table, self.column)
        }
    }

    pub(super) fn forward(&self) -> Script {
        let value = sql!("found.tenant::{}", self.type_name);
        let pending = match &self.reopens {
            Some(quarantine) => sql!(
                "(t.{} IS NULL OR t.{} = {}::{})",
                self.column,
                self.column,
                Literal::text(quarantine),
                self.type_name
            ),
            None => sql!("t.{} IS NULL", self.column),
        };
        self.script(&value, &pending, Found::Last)
    }

    /// NULL goes back only where the value is still the one this run wrote: what was written since stays.
    pub(super) fn inverse(&self) -> Script {
        if !self.reused {
            return Script::nothing();
        }
        let ours = sql!("t.{} = found.tenant::{}", self.column, self.type_name);
        // NULL would not fit at this point; the passes before put it back where it belongs.
        let before = match &self.reopens {
            Some(quarantine) => sql!("{}::{}", Literal::text(quarantine), self.type_name),
            None => sql!("NULL"),
        };
        self.script(&before, &ours, Found::Ever)
    }

    fn script(&self, value: &Sql, condition: &Sql, found: Found) -> Script {
        let mut prelude = session::silent();
        // A small batch must find its rows through the key: with the default costs the planner reads the whole table,
        // once per batch.
        prelude.extend([
            sql!("SET LOCAL enable_hashjoin = off"),
            sql!("SET LOCAL enable_mergejoin = off"),
            sql!("SET LOCAL enable_seqscan = off"),
        ]);
        prelude.extend(session::canonical_text());
        let statement = if self.key.is_empty() {
            self.by_pages(value, condition, found)
        } else {
            self.by_key(value, condition)
        };
        Script::batches(self.table.clone(), prelude, statement)
    }

    /// Walks `bastide.assigned` row by row, in the order of its numbers; the cursor is the last number seen. Numbers may
    /// have gaps between passes.
    ///
    /// Nobody keeps statistics of the evidence, so no plan may depend on them. The span comes in through sub-selects:
    /// joined to it, the server reads the lines from the first one on for every batch. Tenants are looked up one by one, once
    /// for each that a batch meets: joined, the server may compare every row with every tenant.
    fn by_key(&self, value: &Sql, condition: &Sql) -> Sql {
        let matches = self
            .key
            .iter()
            .enumerate()
            .map(|(at, (column, type_name))| sql!("t.{} = (found.key->>{})::{}", column, at, type_name));
        let of_ours = sql!(
            "a.run_id = current_setting('bastide.run')::uuid AND a.relation = {} AND a.pass = {}",
            self.relation(),
            self.pass
        );
        sql!(
            "WITH span AS MATERIALIZED (
    SELECT after, after + $2::bigint AS upto
    FROM (
        SELECT GREATEST($1::text::bigint, a.seq - 1) AS after FROM bastide.assigned AS a
        WHERE {} AND a.seq > COALESCE($1::text::bigint, 0) - {} AND a.seq + a.rows > COALESCE($1::text::bigint, 0) + 1
        ORDER BY a.seq LIMIT 1
    ) AS first
), line AS MATERIALIZED (
    SELECT a.seq, a.keys, a.tenants FROM bastide.assigned AS a
    WHERE {} AND a.seq > (SELECT span.after FROM span) - {} AND a.seq <= (SELECT span.upto FROM span)
), named AS MATERIALIZED (
    SELECT jsonb_object_agg(met.id, (
        SELECT d.tenant FROM bastide.assigned_tenant AS d WHERE d.run_id = current_setting('bastide.run')::uuid AND d.id = met.id
    )) AS tenants
    FROM (SELECT DISTINCT unnest(line.tenants) AS id FROM line) AS met WHERE met.id IS NOT NULL
), found AS MATERIALIZED (
    SELECT u.key, (SELECT named.tenants FROM named)->>u.tenant::text AS tenant
    FROM line CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements(line.keys), unnest(line.tenants)) WITH ORDINALITY AS u (key, tenant, at)
    WHERE u.tenant IS NOT NULL
        AND line.seq + u.at - 1 > (SELECT span.after FROM span) AND line.seq + u.at - 1 <= (SELECT span.upto FROM span)
), changed AS (
    UPDATE ONLY {} AS t SET {} = {} FROM found
    WHERE {} AND {}
    RETURNING 1
)
SELECT (SELECT span.upto::text FROM span WHERE EXISTS (
        SELECT FROM bastide.assigned AS a
        WHERE {} AND a.seq > (SELECT span.upto FROM span) - {} AND a.seq + a.rows > (SELECT span.upto FROM span) + 1)),
    (SELECT count(*) FROM changed)",
            of_ours,
            CHUNK,
            of_ours,
            CHUNK,
            self.table,
            self.column,
            value,
            join(matches, " AND "),
            condition,
            of_ours,
            CHUNK
        )
    }

    /// Walks the table's pages; the cursor is the next page. A row that moves while this runs keeps its NULL and is found
    /// by the second pass.
    fn by_pages(&self, value: &Sql, condition: &Sql, found: Found) -> Sql {
        let (distinct, order) = match found {
            Found::Last => (sql!(" ON (seen.at)"), sql!("\n    ORDER BY seen.at, a.seq DESC")),
            Found::Ever => (sql!(""), sql!("")),
        };
        sql!(
            "WITH span AS MATERIALIZED (
    SELECT first, first + GREATEST(1, $2::bigint / 50) AS beyond
    FROM (SELECT COALESCE($1::text::bigint, 0) AS first) AS cursor
), seen AS MATERIALIZED (
    SELECT t.ctid AS at, {} AS hash FROM ONLY {} AS t
    WHERE t.ctid >= (SELECT format('(%s,0)', first)::tid FROM span)
      AND t.ctid < (SELECT format('(%s,0)', LEAST(beyond, 4294967295))::tid FROM span)
), found AS MATERIALIZED (
    SELECT DISTINCT{} seen.at, d.tenant
    FROM seen JOIN bastide.assigned_keyless AS a ON a.run_id = current_setting('bastide.run')::uuid
            AND a.relation = {} AND a.hash = seen.hash AND a.pass = {}
        JOIN bastide.assigned_tenant AS d ON d.run_id = a.run_id AND d.id = a.tenant{}
), changed AS (
    UPDATE ONLY {} AS t SET {} = {} FROM found
    WHERE t.ctid = found.at AND {}
    RETURNING 1
)
SELECT (SELECT CASE WHEN beyond * current_setting('block_size')::bigint < pg_relation_size({}::regclass) THEN beyond::text END FROM span),
    (SELECT count(*) FROM changed)",
            inference::row_hash(&sql!("t"), &self.original_columns),
            self.table,
            distinct,
            self.relation(),
            self.pass,
            order,
            self.table,
            self.column,
            value,
            condition,
            self.relation()
        )
    }

    /// What readies this step for running again over rows that came since: what to forget first, and the cursor to begin
    /// with (an expression of type text). Of no row may an older word be written in the place of the new one.
    ///
    /// `packed`: `bastide.assigned` holds the evidence. There each pass has numbers of its own, so the step goes on behind
    /// the last one; what is forgotten are rows that nothing settled, who are recorded again if they still are such. In
    /// the older layout everything about rows that are open now goes, and the step begins at the beginning.
    #[must_use]
    pub fn look_again(&self, packed: bool) -> (Sql, Sql) {
        let of_run = sql!("a.run_id = current_setting('bastide.run')::uuid AND a.relation = {}", self.relation());
        if !packed {
            let key: Vec<Ident> = self.key.iter().map(|(column, _)| column.clone()).collect();
            let forget = sql!(
                "DELETE FROM bastide.assignment AS a USING ONLY {} AS t WHERE {} AND t.{} IS NULL AND a.key = {}",
                self.table,
                of_run,
                self.column,
                inference::row_key(&Ident::constant("t"), &key, &self.original_columns)
            );
            return (forget, sql!("NULL"));
        }
        if self.key.is_empty() {
            let forget = sql!(
                "DELETE FROM bastide.assigned_keyless AS a WHERE {} AND a.pass = {} AND a.tenant IS NULL",
                of_run,
                self.pass
            );
            return (forget, sql!("NULL"));
        }
        let forget = sql!(
            "DELETE FROM bastide.assigned AS a WHERE {} AND a.pass = {} AND a.with_tenant = 0",
            of_run,
            self.pass
        );
        let last = sql!("(SELECT max(a.seq + a.rows - 1)::text FROM bastide.assigned AS a WHERE {})", of_run);
        (forget, last)
    }

    fn relation(&self) -> Literal {
        Literal::text(sql!("{}", self.table).as_str())
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}

#[cfg(test)]
mod tests;
