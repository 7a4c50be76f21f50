//! What the application may pass on, it can give to a role nobody looked at.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-053", title: "the application may pass its privileges on", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, _) in posture.scoped_tables() {
        let acls = table.acl.iter().chain(table.columns.iter().filter_map(|column| column.acl.as_ref()));
        let items = acls.flatten().filter(|item| item.grantee.as_ref() != Some(&table.owner));
        for item in items.filter(|item| item.privileges.iter().any(|privilege| privilege.grantable)) {
            let Some(role) = item.grantee.as_ref().filter(|role| posture.roles.contains(role)) else {
                continue;
            };
            let message = format!("`{role}` may grant it to others");
            let mend = sql!("REVOKE GRANT OPTION FOR ALL ON {} FROM {} CASCADE", table.name, role);
            found.push(Weakness::new(Severity::Warning, &table.name, message, mend));
        }
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::{AclItem, Privilege};

    use crate::{Posture, findings::found, posture::fixture};

    fn granted(posture: &mut Posture, grantee: &str, grantable: bool) {
        let privileges = vec![Privilege { kind: "SELECT".to_owned(), grantable }];
        let (grantee, grantor) = (Some(fixture::ident(grantee)), fixture::ident("shop"));
        fixture::spoil(posture, "orders").acl = Some(vec![AclItem { grantee, grantor, privileges }]);
    }

    #[test]
    fn a_grant_option_is_found() {
        let bad = found(&CHECK, |posture| granted(posture, "bastide_app", true));
        assert_eq!(
            bad[0].mend,
            r#"REVOKE GRANT OPTION FOR ALL ON "public"."orders" FROM "bastide_app" CASCADE;"#
        );
    }

    #[test]
    fn without_one_or_for_others_it_is_silent() {
        assert_eq!(found(&CHECK, |posture| granted(posture, "bastide_app", false)), []);
        assert_eq!(found(&CHECK, |posture| granted(posture, "reporting", true)), []);
    }
}
