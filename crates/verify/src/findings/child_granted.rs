//! A grant on a partition lets the application address it directly, where only the partition's own policies apply.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-046",
    title: "a partition or child table is granted by itself",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, _) in posture.scoped_tables().filter(|(table, _)| !table.parents.is_empty()) {
        if posture.reach.contains_key(&table.name) {
            // Unprotected, it has BST-001 or BST-003 already; protected, it is only untidy.
            let message = format!("`{}` reaches it directly rather than through its parent", posture.app);
            let mend = sql!("REVOKE ALL ON {} FROM {}", table.name, posture.grantees(Some(&table.owner)));
            found.push(Weakness::new(Severity::Info, &table.name, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Posture, findings::found, posture::fixture};

    fn child(posture: &mut Posture) {
        fixture::spoil(posture, "lines").parents.push(fixture::public("orders"));
    }

    #[test]
    fn a_granted_child_is_mentioned() {
        assert_eq!(found(&CHECK, child)[0].object, "public.lines");
    }

    #[test]
    fn one_reached_through_its_parent_only_is_silent() {
        let good = found(&CHECK, |posture| {
            child(posture);
            posture.reach.remove(&fixture::public("lines"));
        });
        assert_eq!(good, []);
    }
}
