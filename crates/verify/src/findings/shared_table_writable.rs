//! What one tenant writes into a shared table every tenant reads: a channel, and a way to deface the others.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-045",
    title: "the application may write a shared table",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (name, reach) in &posture.reach {
        let table = posture.catalog.table(name);
        let owner = table.map(|table| &table.owner);
        if table.is_some() && !posture.is_scoped(name) && reach.may_write() {
            let message = format!("is not scoped, and `{}` may write it: every tenant reads the result", posture.app);
            let mend =
                sql!("REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {} FROM {}", name, posture.grantees(owner));
            found.push(Weakness::new(Severity::Warning, name, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_write_privilege_on_a_shared_table_is_found() {
        let bad = found(&CHECK, |posture| {
            posture.reach.insert(fixture::public("countries"), fixture::reach(&["SELECT", "UPDATE"]));
        });
        assert_eq!(bad[0].object, "public.countries");
    }

    #[test]
    fn reading_it_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
