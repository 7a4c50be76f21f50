//! `session_replication_role = replica` skips foreign keys and triggers, tenant-wide keys included.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-015",
    title: "the application may switch triggers off",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    if !posture.may_disable_triggers {
        return Vec::new();
    }
    let message = "may set session_replication_role, under which no foreign key and no trigger fires";
    let mend = sql!("REVOKE SET ON PARAMETER session_replication_role FROM PUBLIC, {}", posture.app);
    vec![Weakness::new(Severity::Critical, &posture.app, message, mend)]
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::findings::found;

    #[test]
    fn the_grant_is_found() {
        assert_eq!(found(&CHECK, |posture| posture.may_disable_triggers = true)[0].object, "bastide_app");
    }

    #[test]
    fn without_it_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
