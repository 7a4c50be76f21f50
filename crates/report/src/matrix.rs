//! Probes as a matrix: a row for each object and way to it, a column for each verb, and in each square a sign for each
//! context. It holds what the verdict holds, neither more nor less.

use std::collections::{BTreeMap, BTreeSet};

use bastide_record::{Context, Path, Probe, Verb, Verdict};

pub(crate) struct Matrix<'a> {
    /// In the order of [`Verb`].
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row<'a>>,
    /// Objects that no grant leads to, all of them refused: they would be rows of one sign each.
    pub(crate) out_of_reach: usize,
}

pub(crate) struct Column {
    pub(crate) verb: Verb,
    /// In the order of [`Context`]; those that the verb is tried in somewhere.
    pub(crate) contexts: Vec<Context>,
}

pub(crate) struct Row<'a> {
    pub(crate) object: &'a str,
    /// What of the object's name a foreign key's row adds to its table's.
    pub(crate) part: Option<&'a str>,
    pub(crate) path: Path,
    cells: Cells<'a>,
}

impl Matrix<'_> {
    /// The columns in runs of so many signs at most: what is too wide for a page goes on below itself.
    pub(crate) fn blocks(&self, signs: usize) -> Vec<&[Column]> {
        let mut blocks = Vec::new();
        let (mut from, mut used) = (0, 0);
        for (at, column) in self.columns.iter().enumerate() {
            if at > from && used + column.contexts.len() > signs {
                blocks.push(&self.columns[from..at]);
                (from, used) = (at, 0);
            }
            used += column.contexts.len();
        }
        blocks.push(&self.columns[from..]);
        blocks
    }
}

impl Column {
    /// Of a verb that is tried in several contexts, a place for each, so that a place means the same in each column. Those that
    /// only a read is tried in come last.
    pub(crate) fn places(&self) -> &[Context] {
        let all = match self.contexts.last() {
            Some(last) if Context::ALL[Context::OF_EVERY_VERB..].contains(last) => Context::ALL.len(),
            _ => Context::OF_EVERY_VERB,
        };
        if self.contexts.len() > 1 { &Context::ALL[..all] } else { &self.contexts }
    }
}

type Cells<'a> = BTreeMap<(Verb, Context), &'a Probe>;

impl<'a> Matrix<'a> {
    pub(crate) fn of(verdict: &'a Verdict) -> Self {
        let out_of_reach = |probe: &&Probe| {
            probe.cell.verb == Verb::Closed && probe.outcome == bastide_record::Outcome::Held
        };
        let is_table = |path| matches!(path, Path::Table | Path::Partition);
        let tables: BTreeSet<&str> = verdict
            .probes
            .iter()
            .filter(|probe| is_table(probe.cell.path))
            .map(|probe| probe.cell.object.as_str())
            .collect();
        let mut rows: BTreeMap<(&str, Path, &str), Cells<'_>> = BTreeMap::new();
        let mut columns: BTreeMap<Verb, BTreeSet<Context>> = BTreeMap::new();
        for probe in verdict.probes.iter().filter(|probe| !out_of_reach(probe)) {
            let cell = &probe.cell;
            let key = (table_of(&cell.object, cell.path, &tables), cell.path, cell.object.as_str());
            rows.entry(key).or_default().insert((cell.verb, cell.context), probe);
            columns.entry(cell.verb).or_default().insert(cell.context);
        }
        Self {
            columns: columns
                .into_iter()
                .map(|(verb, contexts)| Column { verb, contexts: contexts.into_iter().collect() })
                .collect(),
            rows: rows
                .into_iter()
                .map(|((table, path, object), cells)| {
                    let part = object.strip_prefix(table).and_then(|rest| rest.strip_prefix(':'));
                    Row { object, part, path, cells }
                })
                .collect(),
            out_of_reach: verdict.probes.iter().filter(out_of_reach).count(),
        }
    }
}

/// The table that a foreign key's row belongs under; a constraint's name may hold anything, a colon too.
fn table_of<'a>(object: &'a str, path: Path, tables: &BTreeSet<&'a str>) -> &'a str {
    let ends = object.match_indices(':').map(|(at, _)| &object[..at]);
    let mut known = ends.filter(|table| path == Path::ForeignKey && tables.contains(table));
    known.next().unwrap_or(object)
}

impl<'a> Row<'a> {
    pub(crate) fn cell(&self, verb: Verb, context: Context) -> Option<&'a Probe> {
        self.cells.get(&(verb, context)).copied()
    }

    pub(crate) fn has_any(&self, columns: &[Column]) -> bool {
        self.cells.keys().any(|(verb, _)| columns.iter().any(|column| column.verb == *verb))
    }

    /// A way that is not the object's own kind.
    pub(crate) fn way(&self) -> Option<&'static str> {
        match self.path {
            Path::Prepared => Some("prepared"),
            Path::Cursor => Some("cursor"),
            Path::ScrollCursor => Some("scroll cursor"),
            Path::HeldCursor => Some("held cursor"),
            Path::ForeignKey => Some("foreign key"),
            _ => None,
        }
    }
}

/// Short enough to stand over a column.
pub(crate) fn heading(verb: Verb) -> &'static str {
    match verb {
        Verb::ZeroRow => "zero",
        Verb::Select => "select",
        Verb::CopyOut => "copy",
        Verb::Insert => "insert",
        Verb::OnConflict => "confl.",
        Verb::Merge => "merge",
        Verb::MergeInsert => "m. ins.",
        Verb::Update => "update",
        Verb::Returning => "return.",
        Verb::Delete => "delete",
        Verb::Move => "move",
        Verb::CopyIn => "in",
        Verb::Truncate => "trunc",
        Verb::Execute => "call",
        Verb::Closed => "closed",
        Verb::Forge => "forge",
        Verb::Preset => "preset",
    }
}

/// What a verb is, in a sentence for a legend.
pub(crate) fn meaning(verb: Verb) -> &'static str {
    match verb {
        Verb::ZeroRow => "does a policy filter reads at all",
        Verb::Select => "SELECT",
        Verb::CopyOut => "COPY TO",
        Verb::Insert => "INSERT",
        Verb::OnConflict => "INSERT … ON CONFLICT",
        Verb::Merge => "MERGE … UPDATE",
        Verb::MergeInsert => "MERGE … INSERT",
        Verb::Update => "UPDATE",
        Verb::Returning => "UPDATE … RETURNING",
        Verb::Delete => "DELETE",
        Verb::Move => "an UPDATE that gives a row away",
        Verb::CopyIn => "COPY FROM",
        Verb::Truncate => "TRUNCATE, by privilege only",
        Verb::Execute => "a function's call",
        Verb::Closed => "a read that no grant allows",
        Verb::Forge => "another tenant's context out of nothing",
        Verb::Preset => "a tenant before any was set",
    }
}
