//! Foreign-key checks ignore row security, even FORCE: only a key that includes the tenant keeps references inside it.

use bastide_catalog::{ForeignKey, Key, Table};
use bastide_sql::{Ident, Sql, join, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check { id: "BST-022", title: "a foreign key can join two tenants", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, scoped) in posture.scoped_tables() {
        for link in &table.foreign_keys {
            if link.inherited || !posture.is_scoped(&link.references) || posture.carries_tenant(table, link) {
                continue;
            }
            let drop = sql!("ALTER TABLE {} DROP CONSTRAINT {}", table.name, link.name);
            // With a tenant-wide sibling nothing crosses; the error's constraint name still tells whether a key exists.
            let weakness = if table.foreign_keys.iter().any(|other| covers(posture, table, link, other)) {
                let message =
                    format!("the foreign key `{}` tells whether another tenant's key exists", link.name);
                Weakness::new(Severity::Info, &table.name, message, drop)
            } else if let Some(accepted) = posture.acceptance(&table.name, &link.name) {
                let advice = format!("Nothing, while that holds; else {drop}.");
                Weakness::advised(Severity::Info, &table.name, crosses(link) + &accepted, advice)
            } else {
                let message = crosses(link);
                let parent_tenant = posture.scoped.get(&link.references).map(|parent| &parent.tenant_column);
                // A link that has one of the tenants pairs it with something else: the others are what refers.
                let pairs = link.columns.iter().zip(&link.referenced_columns);
                let pairs =
                    pairs.filter(|(from, to)| **from != scoped.tenant_column && Some(*to) != parent_tenant);
                let (from, to): (Vec<&Ident>, Vec<&Ident>) = pairs.unzip();
                let from = std::iter::once(&scoped.tenant_column).chain(from);
                let to: Vec<&Ident> = parent_tenant.into_iter().chain(to).collect();
                let key = tenant_key(posture, link, &to);
                let mend = sql!(
                    "{}ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({}); {}",
                    key,
                    table.name,
                    join(from, ", "),
                    link.references,
                    join(to, ", "),
                    drop
                );
                Weakness::new(Severity::Warning, &table.name, message, mend)
            };
            found.push(weakness.until_cutover(posture));
        }
    }
    found
}

/// The key that a tenant-wide foreign key refers to, where the parent has none yet.
fn tenant_key(posture: &Posture, link: &ForeignKey, to: &[&Ident]) -> Sql {
    let parent = posture.catalog.table(&link.references);
    let same =
        |key: &Key| key.columns.len() == to.len() && to.iter().all(|column| key.columns.contains(column));
    if parent.is_some_and(|parent| parent.keys.iter().any(same)) {
        return sql!("");
    }
    sql!("CREATE UNIQUE INDEX ON {} ({}); ", link.references, join(to.iter().copied(), ", "))
}

fn crosses(link: &ForeignKey) -> String {
    format!(
        "the foreign key `{}` to {} does not include the tenant, so a row may reference another tenant's",
        link.name, link.references
    )
}

/// `other` refers to the same parent by the same columns and the tenant.
fn covers(posture: &Posture, table: &Table, link: &ForeignKey, other: &ForeignKey) -> bool {
    other.references == link.references
        && other.validated
        && posture.carries_tenant(table, other)
        && link.columns.iter().all(|column| other.columns.contains(column))
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Severity, findings::found, posture::fixture};

    #[test]
    fn a_simple_key_is_found_and_only_informational_beside_a_tenant_wide_one() {
        let simple = || fixture::link("simple", &["order_id"], "orders", &["id"]);
        let alone = found(&CHECK, |posture| fixture::spoil(posture, "lines").foreign_keys = vec![simple()]);
        assert_eq!((alone[0].object.as_str(), alone[0].severity), ("public.lines", Severity::Warning));
        let beside = found(&CHECK, |posture| fixture::spoil(posture, "lines").foreign_keys.push(simple()));
        assert_eq!(beside[0].severity, Severity::Info);
    }

    #[test]
    fn one_that_the_operator_accepted_is_informational_and_says_so() {
        let accepted = found(&CHECK, |posture| {
            let simple = fixture::link("simple", &["order_id"], "orders", &["id"]);
            fixture::spoil(posture, "lines").foreign_keys = vec![simple];
            fixture::accept(posture, &["key:public.lines.simple"]);
        });
        assert_eq!((accepted.len(), accepted[0].severity), (1, Severity::Info));
        assert!(
            accepted[0].message.ends_with("(`key:public.lines.simple` = `keep` in the plan of run a-run)")
        );
    }

    #[test]
    fn keys_with_the_tenant_and_keys_to_shared_tables_are_silent() {
        let good = found(&CHECK, |posture| {
            let to_shared = fixture::link("country", &["country"], "countries", &["code"]);
            fixture::spoil(posture, "lines").foreign_keys.push(to_shared);
        });
        assert_eq!(good, []);
    }
}
