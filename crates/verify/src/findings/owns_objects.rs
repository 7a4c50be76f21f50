//! An owner can switch row security off, change a function others run, or grant what it owns to anybody.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-012",
    title: "the application owns objects",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let owned = posture.owned.iter().filter(|owned| owned.role == posture.app);
    owned
        .map(|owned| {
            let message = format!("owns {}, and can change it as it likes", owned.object);
            let mend = sql!("REASSIGN OWNED BY {} TO bastide_owner", posture.app);
            Weakness::new(Severity::Critical, &posture.app, message, mend)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::{Ownership, fixture}};

    #[test]
    fn what_it_owns_is_found() {
        let bad = found(&CHECK, |posture| {
            let object = "table orders".to_owned();
            posture.owned.push(Ownership { role: fixture::ident("bastide_app"), object });
        });
        assert_eq!(bad[0].object, "bastide_app");
        assert!(bad[0].message.contains("table orders"));
    }

    #[test]
    fn owning_nothing_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
