//! Membership in a role that owns tables is ownership one SET ROLE away.

use std::collections::BTreeSet;

use bastide_sql::{Ident, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-013",
    title: "the application may become an owner",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let of_tables = posture.catalog.tables.values().map(|table| &table.owner);
    let of_views = posture.catalog.views.values().map(|view| &view.owner);
    let of_others = posture.owned.iter().map(|owned| &owned.role);
    let owners: BTreeSet<&Ident> = of_tables.chain(of_views).chain(of_others).collect();
    let reachable = posture.roles.iter().filter(|role| **role != posture.app && owners.contains(role));
    reachable
        .map(|owner| {
            let message = format!("is a member of `{owner}`, which owns objects here and may switch row security off");
            Weakness::new(Severity::Critical, &posture.app, message, sql!("REVOKE {} FROM {}", posture.ways_to(owner), posture.app))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn membership_in_an_owner_is_found() {
        let bad = found(&CHECK, |posture| posture.roles.push(fixture::ident("shop")));
        assert_eq!(bad[0].mend, r#"REVOKE "shop" FROM "bastide_app";"#);
    }

    #[test]
    fn membership_in_a_role_without_objects_is_silent() {
        assert_eq!(found(&CHECK, |posture| posture.roles.push(fixture::ident("staff"))), []);
    }
}
