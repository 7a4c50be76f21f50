//! Predefined roles reach past grants (pg_read_all_data), past the database (pg_read_server_files) or into other sessions.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-011",
    title: "the application is a member of a predefined role",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let predefined = posture.roles.iter().filter(|role| role.as_str().starts_with("pg_"));
    predefined
        .map(|role| {
            let severity = match role.as_str() {
                "pg_use_reserved_connections" | "pg_checkpoint" => Severity::Warning,
                _ => Severity::Critical,
            };
            let message = format!("is a member of `{role}`, which reaches further than any grant to it");
            Weakness::new(severity, &posture.app, message, sql!("REVOKE {} FROM {}", posture.ways_to(role), posture.app))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn membership_is_found() {
        let bad = found(&CHECK, |posture| posture.roles.push(fixture::ident("pg_read_all_data")));
        assert_eq!(bad[0].mend, r#"REVOKE "pg_read_all_data" FROM "bastide_app";"#);
    }

    #[test]
    fn ordinary_roles_are_silent() {
        assert_eq!(found(&CHECK, |posture| posture.roles.push(fixture::ident("staff"))), []);
    }
}
