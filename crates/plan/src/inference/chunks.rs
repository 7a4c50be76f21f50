//! Rows found by a look at whole tables, and changed a chunk to a transaction; again and again, until a look finds nothing.
//!
//! Finding reads, and locks nothing but the tables against DDL. Each found row is then changed by its physical place and version,
//! which together name one state of one row: a place that is used again has another version. A row that somebody changes or holds
//! meanwhile is left, and looked at again in the next pass.

use bastide_sql::{Literal, Sql, join, sql};

use super::{Graph, prelude, render::search_path, rounds::lines};

/// Rows to a transaction: what is locked at any time is a few milliseconds of work.
const CHUNK: usize = 500;

pub(super) struct Passes<'a> {
    pub(super) graph: &'a Graph,
    /// Makes the work tables.
    pub(super) made: Vec<Sql>,
    /// Those of what was found: `(rid tid, version xid, …)`.
    pub(super) found: Vec<Sql>,
    /// Those that stay the same over all passes.
    pub(super) kept: Vec<Sql>,
    /// Lines of plpgsql that fill what was found, which is empty.
    pub(super) find: Sql,
    /// What becomes of it, in this order: the work table, and a statement that begins with [`next_chunk`] of it.
    pub(super) changes: Vec<(Sql, Sql)>,
    /// What is said when a pass finds rows and can change none.
    pub(super) busy: &'static str,
}

impl Passes<'_> {
    /// The whole of it, as a plpgsql block that commits as it goes.
    pub(super) fn block(&self) -> Sql {
        let opening = prelude().into_iter().chain([search_path(self.graph)]);
        let empty = self.found.iter().map(|table| sql!("DELETE FROM {}", table));
        let changes = self.changes.iter().map(|(found, change)| self.chunked(found, change));
        let dropped = self.found.iter().chain(&self.kept).map(|table| sql!("DROP TABLE {}", table));
        sql!(
            "DECLARE
  bastide_rows bigint;
  bastide_done bigint;
  bastide_since timestamptz;
  bastide_held double precision := 0;
BEGIN
  SET LOCAL search_path = pg_catalog, pg_temp;
{}  LOOP
    COMMIT;
{}{}{}    EXIT WHEN NOT ({});
    bastide_done := 0;
{}    IF bastide_done = 0 THEN
      RAISE EXCEPTION USING MESSAGE = {}, ERRCODE = '55P03';
    END IF;
  END LOOP;
{}  PERFORM set_config('bastide.held_ms', bastide_held::text, false);
END",
            lines(self.made.iter().cloned(), "  "),
            lines(opening, "    "),
            lines(empty, "    "),
            self.find,
            any(&self.found),
            join(changes, ""),
            Literal::text(self.busy),
            lines(dropped, "  ")
        )
    }

    /// A statement again and again, each time in a short transaction, until the rows found are through.
    fn chunked(&self, found: &Sql, change: &Sql) -> Sql {
        let mut opening = vec![sql!("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")];
        opening.extend(prelude().into_iter().skip(1));
        opening.extend([
            search_path(self.graph),
            // Neither the shop's own triggers nor CASCADE may act: every row that has to change is named.
            sql!("SET LOCAL session_replication_role = replica"),
            // By place or by key, never by a scan: the rows are locked meanwhile.
            sql!("SET LOCAL enable_hashjoin = off"),
            sql!("SET LOCAL enable_mergejoin = off"),
        ]);
        sql!(
            "    WHILE EXISTS (SELECT FROM {}) LOOP
      COMMIT;
{}      bastide_since := clock_timestamp();
      {};
      GET DIAGNOSTICS bastide_rows = ROW_COUNT;
      bastide_done := bastide_done + bastide_rows;
      COMMIT;
      bastide_held := greatest(bastide_held, extract(epoch FROM clock_timestamp() - bastide_since) * 1000);
    END LOOP;
",
            found,
            lines(opening, "      "),
            change
        )
    }
}

/// `chunk`: the next rows, out of the work table with all that was found of them.
pub(super) fn next_chunk(found: &Sql) -> Sql {
    sql!(
        "chunk AS (
        DELETE FROM {} WHERE rid = ANY (ARRAY(SELECT DISTINCT f.rid FROM {} AS f ORDER BY f.rid LIMIT {})) RETURNING *
      )",
        found,
        found,
        CHUNK
    )
}

/// Holds when one of the tables has a row.
pub(super) fn any(tables: &[Sql]) -> Sql {
    let some = tables.iter().map(|table| sql!("EXISTS (SELECT FROM {})", table));
    if tables.is_empty() { sql!("false") } else { sql!("{}", join(some, " OR ")) }
}
