//! What the strata say, computed row by row and naively: the yardstick for the set-wise SQL.

use std::collections::{BTreeMap, BTreeSet};

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
///
/// Stratum 0 are the facts. Odd strata go down (parents speak), even ones up (children speak), each over the rows that
/// all before it left unknown, to its least fixpoint; the first from 2 on that decides nothing is the last.
pub(crate) fn fixpoint(tables: &[Vec<Row>], targets: &[Vec<usize>]) -> BTreeMap<Place, State> {
    let mut decided: BTreeMap<Place, State> = BTreeMap::new();
    let mut unknown: BTreeSet<Place> = BTreeSet::new();
    // (child, parent)
    let mut links: Vec<(Place, Place)> = Vec::new();
    for (t, rows) in tables.iter().enumerate() {
        for (r, row) in rows.iter().enumerate() {
            match row.own {
                Some(own) => drop(decided.insert((t, r), State::One(own))),
                None => drop(unknown.insert((t, r))),
            }
            let pointed = row.references.iter().zip(&targets[t]);
            links.extend(pointed.filter_map(|(to, &table)| to.map(|to| ((t, r), (table, to)))));
        }
    }
    for stratum in 1.. {
        let down = stratum % 2 == 1;
        let here = within(&decided, &unknown, &links, down);
        if here.is_empty() && stratum >= 2 {
            break;
        }
        unknown.retain(|place| !here.contains_key(place));
        decided.extend(here);
    }
    decided.extend(unknown.into_iter().map(|place| (place, State::Unknown)));
    decided
}

/// What one stratum decides.
fn within(
    decided: &BTreeMap<Place, State>,
    unknown: &BTreeSet<Place>,
    links: &[(Place, Place)],
    down: bool,
) -> BTreeMap<Place, State> {
    let mut here: BTreeMap<Place, State> = BTreeMap::new();
    loop {
        let mut changed = false;
        for &(child, parent) in links {
            let (from, to) = if down { (parent, child) } else { (child, parent) };
            let earlier = decided.get(&from).filter(|state| down || **state != State::Conflict);
            let Some(said) = here.get(&from).or(earlier).copied().filter(|_| unknown.contains(&to)) else {
                continue;
            };
            let held = here.get(&to).copied().unwrap_or(State::Unknown);
            let joined = held.join(said);
            if joined != held {
                here.insert(to, joined);
                changed = true;
            }
        }
        if !changed {
            return here;
        }
    }
}
