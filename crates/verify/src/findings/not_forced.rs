//! Without FORCE the owner of a table, and with it everything that runs as the owner, sees every tenant.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-002",
    title: "row security is not forced on the owner",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let unforced = posture.scoped_tables().filter(|(table, _)| table.row_security && !table.force_row_security);
    unforced
        .map(|(table, _)| {
            let message = format!("row security does not bind its owner, `{}`", table.owner);
            let mend = sql!("ALTER TABLE {} FORCE ROW LEVEL SECURITY", table.name);
            Weakness::new(Severity::Warning, &table.name, message, mend).until_cutover(posture)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn it_is_a_finding_after_cutover_and_a_state_before() {
        let after = found(&CHECK, |posture| fixture::spoil(posture, "orders").force_row_security = false);
        assert_eq!((after[0].object.as_str(), after[0].pending_cutover), ("public.orders", false));
        let before = found(&CHECK, |posture| {
            posture.pending_cutover = true;
            fixture::spoil(posture, "orders").force_row_security = false;
        });
        assert!(before[0].pending_cutover);
    }

    #[test]
    fn forced_everywhere_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
