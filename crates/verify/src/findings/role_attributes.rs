//! SUPERUSER and BYPASSRLS see through every policy; CREATEROLE, REPLICATION and CREATEDB lead there.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-010",
    title: "the application has attributes that row security does not bind",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for name in &posture.roles {
        let Some(role) = posture.catalog.roles.get(name) else { continue };
        let attributes = [
            (role.superuser, "SUPERUSER", Severity::Critical, "no policy applies to it"),
            (role.bypass_rls, "BYPASSRLS", Severity::Critical, "no policy applies to it"),
            (role.replication, "REPLICATION", Severity::Critical, "it can stream every tenant's rows"),
            (role.create_role, "CREATEROLE", Severity::Critical, "it can make itself a member of other roles"),
            (role.create_db, "CREATEDB", Severity::Warning, "it can copy a database it is let into"),
        ];
        for (has, attribute, severity, why) in attributes {
            if !has {
                continue;
            }
            let (message, mend) = if *name == posture.app {
                (format!("has {attribute}: {why}"), sql!("ALTER ROLE {} NO{}", name, bastide_sql::Sql::trusted(attribute)))
            } else {
                (format!("may become `{name}`, which has {attribute}: {why}"), sql!("REVOKE {} FROM {}", posture.ways_to(name), posture.app))
            };
            found.push(Weakness::new(severity, &posture.app, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Posture, findings::found, posture::fixture};

    fn attribute(posture: &mut Posture, role: &str) {
        posture.catalog.roles.get_mut(&fixture::ident(role)).unwrap().bypass_rls = true;
    }

    #[test]
    fn its_own_attributes_are_found() {
        let bad = found(&CHECK, |posture| attribute(posture, "bastide_app"));
        assert_eq!(bad[0].object, "bastide_app");
        assert_eq!(bad[0].mend, r#"ALTER ROLE "bastide_app" NOBYPASSRLS;"#);
    }

    #[test]
    fn so_are_those_it_can_become() {
        let bad = found(&CHECK, |posture| {
            attribute(posture, "shop");
            posture.roles.push(fixture::ident("shop"));
        });
        assert_eq!(bad[0].mend, r#"REVOKE "shop" FROM "bastide_app";"#);
    }

    #[test]
    fn roles_it_cannot_become_are_silent() {
        assert_eq!(found(&CHECK, |posture| attribute(posture, "shop")), []);
    }
}
