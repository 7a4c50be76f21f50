//! What inference answered, against what evidence could decide and against what is true.

use std::collections::{BTreeMap, BTreeSet};

use bastide_sql::{Ident, QualifiedName};

use super::{Components, Place, State, Tally, Visible};

/// Whose a row truly is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum True {
    Tenant(String),
    /// Several tenants truly use it.
    Several,
    /// Nobody knows: it is neither right nor wrong to assign it.
    Unknown,
}

/// `answers`: what inference said of each row, facts included. See the head of [`super`] for what is counted as what.
///
/// # Errors
/// When an answer is not what the evidence says, or is wrong and nothing tells.
pub fn judge(
    visible: &Visible,
    expected: &[State],
    answers: &[State],
    truth: impl Fn(&Place) -> True,
) -> Result<Tally, String> {
    let components = Components::of(&visible.own, &visible.pairs());
    let loud: BTreeSet<usize> = visible
        .links
        .iter()
        .filter(|link| tenant(&answers[link.child]) != tenant(&answers[link.parent]))
        .map(|link| components.id(link.child))
        .collect();
    let mut tally = Tally { cases: 1, ..Tally::default() };
    for row in visible.open() {
        let place = &visible.places[row];
        let (said, decidable) = (&answers[row], &expected[row]);
        tally.open += 1;
        tally.decidable += u64::from(matches!(decidable, State::One(_)));
        match said {
            State::Unknown => tally.unreachable += 1,
            State::Conflict => tally.conflicts += 1,
            State::One(tenant) => {
                tally.covered += u64::from(matches!(decidable, State::One(_)));
                let true_tenant = truth(place);
                if true_tenant != True::Unknown {
                    tally.assigned += 1;
                }
                let named = components.tenants(row);
                match true_tenant {
                    True::Unknown => {}
                    True::Tenant(true_tenant) if true_tenant == *tenant => tally.right += 1,
                    _ if named.len() == 1 && named.contains(tenant) => tally.misled += 1,
                    _ if loud.contains(&components.id(row)) => tally.told += 1,
                    other => return Err(format!("{place:?} went to {tenant} in silence; it is {other:?}")),
                }
            }
        }
        if said != decidable {
            return Err(format!("{place:?}: inference says {said:?}, the evidence says {decidable:?}"));
        }
    }
    Ok(tally)
}

/// Of each foreign key: references, and those that would join two tenants.
#[must_use]
pub fn crossings(visible: &Visible, states: &[State]) -> BTreeMap<(QualifiedName, Ident), (u64, u64)> {
    let mut found: BTreeMap<(QualifiedName, Ident), (u64, u64)> = BTreeMap::new();
    for link in &visible.links {
        let (rows, crossing) = found.entry(link.key.clone()).or_default();
        *rows += 1;
        *crossing += u64::from(tenant(&states[link.child]) != tenant(&states[link.parent]));
    }
    found
}

/// Rows without one tenant all count as one more.
fn tenant(state: &State) -> Option<&str> {
    match state {
        State::One(tenant) => Some(tenant),
        State::Unknown | State::Conflict => None,
    }
}

/// In a database without crossing links and shared rows, the open rows that anybody can tell the tenant of: those that
/// hang together with a fact. It takes no notice of strata, directions or paths.
#[must_use]
pub fn connected(visible: &Visible) -> Vec<Option<String>> {
    let components = Components::of(&visible.own, &visible.pairs());
    let tenant = |row| {
        let tenants = components.tenants(row);
        (visible.is_open(row) && tenants.len() == 1).then(|| tenants.first().cloned()).flatten()
    };
    (0..visible.places.len()).map(tenant).collect()
}
