//! What evidence could decide, computed row by row: the yardstick for the set-wise SQL.

use std::collections::{BTreeMap, BTreeSet};

/// What a row's own tenant column says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    Fact(String),
    Open,
    /// The same, but a rule says outright whose it is: it speaks like a fact.
    Declared(String),
    /// In quarantine and to stay there: it neither speaks nor listens.
    Silent,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Unknown,
    One(String),
    Conflict,
}

impl State {
    fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Unknown, x) | (x, Self::Unknown) => x.clone(),
            (a, b) if a == b => a.clone(),
            _ => Self::Conflict,
        }
    }
}

/// One state for each of `rows`; `links` are (child, parent).
///
/// Stratum 0 are the facts. Odd strata go down (parents speak), even ones up (children speak), each over the rows that
/// all before it left unknown, to its least fixpoint; the first from 2 on that decides nothing is the last.
#[must_use]
pub fn fixpoint(rows: &[Own], links: &[(usize, usize)]) -> Vec<State> {
    let mut decided: Vec<State> = rows
        .iter()
        .map(|own| match own {
            Own::Fact(tenant) | Own::Declared(tenant) => State::One(tenant.clone()),
            Own::Open | Own::Silent => State::Unknown,
        })
        .collect();
    for stratum in 1.. {
        let here = within(rows, &decided, links, stratum % 2 == 1);
        if here.is_empty() && stratum >= 2 {
            break;
        }
        for (row, state) in here {
            decided[row] = state;
        }
    }
    decided
}

/// What one stratum decides.
fn within(rows: &[Own], decided: &[State], links: &[(usize, usize)], down: bool) -> BTreeMap<usize, State> {
    let mut here: BTreeMap<usize, State> = BTreeMap::new();
    loop {
        let mut changed = false;
        for &(child, parent) in links {
            let (from, to) = if down { (parent, child) } else { (child, parent) };
            if rows[to] != Own::Open || decided[to] != State::Unknown {
                continue;
            }
            // Upwards, what an earlier stratum left in conflict says nothing.
            let earlier = Some(&decided[from]).filter(|state| down || **state != State::Conflict);
            let Some(said) = here.get(&from).or(earlier) else { continue };
            let held = here.get(&to).unwrap_or(&State::Unknown);
            let joined = held.join(said);
            if joined != *held {
                here.insert(to, joined);
                changed = true;
            }
        }
        if !changed {
            return here;
        }
    }
}

/// What hangs together, whichever way the references point.
pub struct Components {
    leaders: Vec<usize>,
    tenants: BTreeMap<usize, BTreeSet<String>>,
}

impl Components {
    #[must_use]
    pub fn of(rows: &[Own], links: &[(usize, usize)]) -> Self {
        let mut leader: Vec<usize> = (0..rows.len()).collect();
        for &(a, b) in links {
            if rows[a] != Own::Silent && rows[b] != Own::Silent {
                let (a, b) = (find(&mut leader, a), find(&mut leader, b));
                leader[a] = b;
            }
        }
        let leaders: Vec<usize> = (0..rows.len()).map(|row| find(&mut leader, row)).collect();
        let mut tenants: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for (own, &leader) in rows.iter().zip(&leaders) {
            let named = tenants.entry(leader).or_default();
            if let Own::Fact(tenant) | Own::Declared(tenant) = own {
                named.insert(tenant.clone());
            }
        }
        Self { leaders, tenants }
    }

    /// The same for two rows that hang together.
    #[must_use]
    pub fn id(&self, row: usize) -> usize {
        self.leaders[row]
    }

    /// The tenants that facts name in what hangs together with `row`.
    #[must_use]
    pub fn tenants(&self, row: usize) -> &BTreeSet<String> {
        &self.tenants[&self.leaders[row]]
    }
}

fn find(leader: &mut [usize], mut row: usize) -> usize {
    while leader[row] != row {
        leader[row] = leader[leader[row]];
        row = leader[row];
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(tenant: &str) -> Own {
        Own::Fact(tenant.to_owned())
    }

    #[test]
    fn parents_first_then_children_and_a_muddled_child_says_nothing() {
        // 0 and 1: facts; 2 hears both and is in conflict; 3 is a parent of 2 and hears nothing; 4 a parent of 0 hears A.
        let rows = [fact("A"), fact("B"), Own::Open, Own::Open, Own::Open];
        let links = [(2, 0), (2, 1), (2, 3), (0, 4)];
        let states = fixpoint(&rows, &links);
        assert_eq!(states[2..], [State::Conflict, State::Unknown, State::One("A".to_owned())]);
        let both = BTreeSet::from(["A".to_owned(), "B".to_owned()]);
        assert_eq!(*Components::of(&rows, &links).tenants(3), both);
    }

    #[test]
    fn silent_rows_connect_nothing() {
        let rows = [fact("A"), Own::Silent, Own::Open];
        let links = [(1, 0), (2, 1)];
        assert_eq!(fixpoint(&rows, &links)[2], State::Unknown);
        assert!(Components::of(&rows, &links).tenants(2).is_empty());
    }
}
