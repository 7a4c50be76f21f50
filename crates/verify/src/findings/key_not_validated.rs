//! A tenant-wide foreign key that was never validated, or is not enforced: rows that cross may be there, or may come.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-025", title: "a foreign key that keeps tenants apart proves nothing", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, _) in posture.scoped_tables() {
        let links = table.foreign_keys.iter().filter(|link| posture.carries_tenant(table, link));
        for link in links.filter(|link| !link.inherited) {
            let off = posture.around.not_enforced.contains(&(table.name.clone(), link.name.clone()));
            let (message, mend) = if off {
                let mend = sql!("ALTER TABLE {} ALTER CONSTRAINT {} ENFORCED", table.name, link.name);
                (format!("the foreign key `{}` is not enforced", link.name), mend)
            } else if !link.validated {
                let mend = sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, link.name);
                (
                    format!(
                        "the foreign key `{}` was never validated: rows from before may cross",
                        link.name
                    ),
                    mend,
                )
            } else {
                continue;
            };
            let weakness = Weakness::new(Severity::Warning, &table.name, message, mend).until_cutover(posture);
            found.push(weakness.unless_accepted(posture, &format!("key:{}.{}", table.name, link.name)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_key_not_validated_and_one_not_enforced_are_found() {
        let bad = found(&CHECK, |posture| fixture::spoil(posture, "lines").foreign_keys[0].validated = false);
        assert!(bad[0].mend.contains("VALIDATE CONSTRAINT"));
        let off = found(&CHECK, |posture| {
            let key = (fixture::public("lines"), fixture::ident("lines_order_fkey"));
            posture.around.not_enforced.insert(key);
        });
        assert!(off[0].mend.ends_with(r#"ALTER CONSTRAINT "lines_order_fkey" ENFORCED;"#));
    }

    #[test]
    fn validated_keys_are_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
