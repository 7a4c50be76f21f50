//! What the lattice says, computed row by row and naively: the yardstick for the set-wise SQL.

use std::collections::BTreeMap;

/// A row of a random database.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) truth: u32,
    /// Its own tenant column, when filled.
    pub(crate) own: Option<u32>,
    /// For every reference of its table, the row it points at.
    pub(crate) references: Vec<Option<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Unknown,
    One(u32),
    Conflict,
}

impl State {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, x) | (x, Self::Unknown) => x,
            (a, b) if a == b => a,
            _ => Self::Conflict,
        }
    }
}

/// Rows by (table, row).
pub(crate) type Place = (usize, usize);

/// `targets[t][r]`: the table that reference `r` of table `t` points into.
pub(crate) fn fixpoint(tables: &[Vec<Row>], targets: &[Vec<usize>]) -> BTreeMap<Place, State> {
    let mut states: BTreeMap<Place, State> = BTreeMap::new();
    let mut links: Vec<(Place, Place)> = Vec::new();
    for (t, rows) in tables.iter().enumerate() {
        for (r, row) in rows.iter().enumerate() {
            states.insert((t, r), row.own.map_or(State::Unknown, State::One));
            let pointed = row.references.iter().zip(&targets[t]);
            links.extend(pointed.filter_map(|(to, &table)| to.map(|to| ((t, r), (table, to)))));
        }
    }
    loop {
        let mut changed = false;
        for &(a, b) in &links {
            for (from, to) in [(a, b), (b, a)] {
                if tables[to.0][to.1].own.is_some() {
                    continue;
                }
                let joined = states[&to].join(states[&from]);
                changed |= joined != states[&to];
                states.insert(to, joined);
            }
        }
        if !changed {
            return states;
        }
    }
}
