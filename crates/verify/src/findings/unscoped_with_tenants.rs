//! A table in reach that is not scoped, yet references a scoped table: its rows belong to tenants all the same.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-043",
    title: "an unscoped table holds what belongs to tenants",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for table in posture.catalog.tables.values() {
        if posture.is_scoped(&table.name) || !posture.reach.contains_key(&table.name) {
            continue;
        }
        let Some(link) = table.foreign_keys.iter().find(|link| posture.is_scoped(&link.references)) else { continue };
        let message = format!(
            "references {} by `{}`, so its rows belong to tenants, but it is not scoped",
            link.references, link.name
        );
        let mend = sql!("REVOKE ALL ON {} FROM {}", table.name, posture.grantees(Some(&table.owner)));
        found.push(Weakness::new(Severity::Critical, &table.name, message, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_reference_to_a_scoped_table_is_found() {
        let bad = found(&CHECK, |posture| {
            let link = fixture::link("of_order", &["order_id"], "orders", &["id"]);
            fixture::spoil(posture, "countries").foreign_keys.push(link);
        });
        assert_eq!(bad[0].object, "public.countries");
    }

    #[test]
    fn references_among_shared_tables_are_silent() {
        let good = found(&CHECK, |posture| {
            let link = fixture::link("of_region", &["region"], "countries", &["code"]);
            fixture::spoil(posture, "countries").foreign_keys.push(link);
        });
        assert_eq!(good, []);
    }
}
