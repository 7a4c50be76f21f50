//! `bastide_owner` sees every tenant (it owns the look-ups, and bypasses policies). Nobody logs in as it or becomes it.

use bastide_sql::{Sql, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check { id: "BST-016", title: "Bastide's own role can be used", run };

const KEEPER: &str = "bastide_owner";

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    let keeper = posture.catalog.roles.iter().filter(|(name, _)| name.as_str() == KEEPER);
    for (name, role) in keeper {
        for (has, attribute) in
            [(role.login, "LOGIN"), (role.superuser, "SUPERUSER"), (role.create_role, "CREATEROLE")]
        {
            if has {
                let message = format!("has {attribute}: it sees every tenant, and needs no such right");
                let mend = sql!("ALTER ROLE {} NO{}", name, Sql::trusted(attribute));
                found.push(Weakness::new(Severity::Critical, name, message, mend));
            }
        }
    }
    // A superuser may become anybody; a role the application may become is found as its own weakness.
    let others =
        posture.catalog.roles.iter().filter(|(name, role)| !role.superuser && !posture.roles.contains(name));
    for (name, role) in others {
        for keeper in role.member_of.iter().filter(|role| role.as_str() == KEEPER) {
            let message = format!("is a member of `{keeper}`, which sees every tenant");
            found.push(Weakness::new(
                Severity::Warning,
                name,
                message,
                sql!("REVOKE {} FROM {}", keeper, name),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Posture, findings::found, posture::fixture};

    fn change<'a>(posture: &'a mut Posture, name: &str) -> &'a mut bastide_catalog::Role {
        posture.catalog.roles.get_mut(&fixture::ident(name)).unwrap()
    }

    #[test]
    fn a_login_and_a_member_are_found() {
        let login = found(&CHECK, |posture| change(posture, "bastide_owner").login = true);
        assert_eq!(login[0].mend, r#"ALTER ROLE "bastide_owner" NOLOGIN;"#);
        let member =
            found(&CHECK, |posture| change(posture, "shop").member_of.push(fixture::ident("bastide_owner")));
        assert_eq!((member[0].object.as_str(), member[0].severity), ("shop", crate::Severity::Warning));
    }

    #[test]
    fn as_made_it_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
