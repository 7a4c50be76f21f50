//! How much a run may write, from the sizes of what is there. Each figure errs upwards, but for the dump, whose
//! compression is reckoned at a half.

use std::collections::{BTreeMap, BTreeSet};

use bastide_plan::{Plan, Step};
use bastide_sql::{Ident, QualifiedName};

use super::{Need, When, server::Devices};
use crate::{BackupChoice, EngineError, MigrationGuard};

pub(super) struct Sizes {
    /// By table, then by the tablespace in which it or some of its indexes are.
    tables: BTreeMap<QualifiedName, BTreeMap<u32, Bytes>>,
    default_space: u32,
    large_objects: u64,
    /// How much longer the write-ahead log may grow; `None` while something keeps the server from recycling it.
    wal: Option<u64>,
}

#[derive(Clone, Copy, Default)]
struct Bytes {
    heap: u64,
    toast: u64,
    indexes: u64,
}

const TABLES: &str = "
SELECT n.nspname::text, c.relname::text, coalesce(nullif(r.reltablespace, 0), d.dattablespace),
       coalesce(sum(pg_relation_size(r.oid)) FILTER (WHERE p.kind = 'heap'), 0)::bigint,
       coalesce(sum(pg_relation_size(r.oid)) FILTER (WHERE p.kind = 'toast'), 0)::bigint,
       coalesce(sum(pg_relation_size(r.oid)) FILTER (WHERE p.kind = 'index'), 0)::bigint
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_database d ON d.datname = current_database()
 CROSS JOIN LATERAL (
       SELECT c.oid, 'heap' UNION ALL SELECT c.reltoastrelid, 'toast'
       UNION ALL SELECT indexrelid, CASE indrelid WHEN c.oid THEN 'index' ELSE 'toast' END
                   FROM pg_index WHERE indrelid IN (c.oid, c.reltoastrelid)) AS p (oid, kind)
  JOIN pg_class r ON r.oid = p.oid
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bastide') AND n.nspname !~ '^pg_(toast|temp)'
 GROUP BY 1, 2, 3";

const SERVER: &str = "
SELECT d.dattablespace, pg_total_relation_size('pg_largeobject'),
       CASE WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE NOT active AND wal_status IS DISTINCT FROM 'lost')
             AND NOT EXISTS (SELECT FROM pg_stat_archiver WHERE last_failed_time > coalesce(last_archived_time, '-infinity'))
            THEN greatest(pg_size_bytes(current_setting('max_wal_size')) - (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()), 0)::bigint END
  FROM pg_database d WHERE d.datname = current_database()";

impl Sizes {
    pub(super) async fn read(guard: &MigrationGuard) -> Result<Self, EngineError> {
        let reading = "asking for the sizes of tables";
        let client = guard.client();
        let row = client.query_one(SERVER, &[]).await.map_err(EngineError::server(reading))?;
        let objects: i64 = row.try_get(1).map_err(EngineError::server(reading))?;
        let wal: Option<i64> = row.try_get(2).map_err(EngineError::server(reading))?;
        let mut sizes = Self {
            tables: BTreeMap::new(),
            default_space: row.try_get(0).map_err(EngineError::server(reading))?,
            large_objects: objects.unsigned_abs(),
            wal: wal.map(i64::unsigned_abs),
        };
        for row in client.query(TABLES, &[]).await.map_err(EngineError::server(reading))? {
            let name = |at: usize| {
                let text: String = row.try_get(at).map_err(EngineError::server(reading))?;
                Ident::new(text).map_err(|error| EngineError::Preflight(error.to_string()))
            };
            let bytes =
                |at: usize| row.try_get(at).map(i64::unsigned_abs).map_err(EngineError::server(reading));
            let space: u32 = row.try_get(2).map_err(EngineError::server(reading))?;
            let here = Bytes { heap: bytes(3)?, toast: bytes(4)?, indexes: bytes(5)? };
            let table = QualifiedName::new(name(0)?, name(1)?);
            sizes.tables.entry(table).or_default().insert(space, here);
        }
        Ok(sizes)
    }

    /// Rows halve at least; what is out of line is compressed already.
    pub(super) fn dump(&self, choice: &BackupChoice, device: u64) -> Vec<Need> {
        if matches!(choice, BackupChoice::None(_)) {
            return Vec::new();
        }
        let parts = || self.tables.values().flat_map(BTreeMap::values);
        let bytes = parts().map(|part| part.heap / 2 + part.toast).sum::<u64>() + self.large_objects;
        vec![Need { device, when: When::Dump, bytes, what: "the backup".to_owned() }]
    }

    /// All of it once more, where it is now.
    pub(super) fn verifying(&self, choice: &BackupChoice, places: &impl Devices) -> Vec<Need> {
        if *choice != BackupChoice::Restore {
            return Vec::new();
        }
        let mut spaces = BTreeMap::from([(self.default_space, self.large_objects)]);
        for (space, part) in self.tables.values().flatten() {
            *spaces.entry(*space).or_default() += part.heap + part.toast + part.indexes;
        }
        let restored = |(space, bytes): (u32, u64)| Need {
            device: places.space(space),
            when: When::Verifying,
            bytes,
            what: "the backup restored to verify it".to_owned(),
        };
        let needs = spaces.into_iter().map(restored).collect();
        self.with_wal(needs, When::Verifying, places)
    }

    /// Each row that gets its tenant is written anew, with its entry in each index; so are the indexes that are made.
    pub(super) fn migrating(&self, plan: &Plan, places: &impl Devices) -> Vec<Need> {
        let mut needs = Vec::new();
        let mut filled = 0;
        let mut seen = BTreeSet::new();
        let rows_of = |table: &QualifiedName| {
            plan.tables
                .get(table)
                .and_then(|decision| decision.survey.as_ref())
                .map_or((0, 0), |survey| (survey.rows, survey.rows.saturating_sub(survey.had_tenant)))
        };
        let mut need = |space: u32, bytes: u64, what: String| {
            needs.push(Need { device: places.space(space), when: When::Migrating, bytes, what });
        };
        for planned in &plan.steps {
            match &planned.step {
                Step::Backfill(step) if seen.insert(&step.table) => {
                    let (rows, empty) = rows_of(&step.table);
                    filled += empty;
                    for (space, part) in self.tables.get(&step.table).into_iter().flatten() {
                        let bytes = share(part.heap + part.indexes, empty, rows);
                        need(*space, bytes, format!("new versions of rows of {}", step.table));
                    }
                }
                Step::AddTenantKey(step) => {
                    for table in tables(&step.table, &step.leaves) {
                        let bytes = index(rows_of(table).0, step.columns.len());
                        need(self.space_of(table), bytes, format!("a new key of {table}"));
                    }
                }
                Step::AddTenantIndex(step) => {
                    for table in tables(&step.table, &step.leaves) {
                        let bytes = index(rows_of(table).0, step.columns.len());
                        need(self.space_of(table), bytes, format!("a new index of {table}"));
                    }
                }
                _ => {}
            }
        }
        need(self.default_space, filled * EVIDENCE, "the evidence".to_owned());
        self.with_wal(needs, When::Migrating, places)
    }

    fn space_of(&self, table: &QualifiedName) -> u32 {
        let spaces = self.tables.get(table).into_iter().flatten();
        spaces.max_by_key(|(_, part)| part.heap).map_or(self.default_space, |(space, _)| *space)
    }

    /// All that is written is in the log first, which then is recycled, unless somebody has yet to read it.
    fn with_wal(&self, mut needs: Vec<Need>, when: When, places: &impl Devices) -> Vec<Need> {
        let written: u64 = needs.iter().map(|need| need.bytes).sum();
        let (bytes, what) = match self.wal {
            Some(most) => (written.min(most), "the write-ahead log"),
            None => (written, "the write-ahead log, kept for an inactive slot or a failing archive command,"),
        };
        needs.push(Need { device: places.wal(), when, bytes, what: what.to_owned() });
        needs
    }
}

/// `bastide.assigned` packs an integer key into some 9 bytes; a uuid takes more.
const EVIDENCE: u64 = 24;

fn tables<'a>(
    table: &'a QualifiedName,
    leaves: &'a [(QualifiedName, Ident)],
) -> impl Iterator<Item = &'a QualifiedName> {
    let itself = leaves.is_empty().then_some(table);
    itself.into_iter().chain(leaves.iter().map(|(leaf, _)| leaf))
}

/// An entry's header and pointer, and per column as much as a uuid or a short text takes.
fn index(rows: u64, columns: usize) -> u64 {
    rows.saturating_mul(16 + 16 * columns as u64)
}

fn share(bytes: u64, of: u64, rows: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(of) / u128::from(rows.max(1));
    u64::try_from(part).unwrap_or(bytes)
}
