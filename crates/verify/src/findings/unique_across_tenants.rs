//! A unique key without the tenant answers "does this value exist anywhere?" to whoever may insert.

use bastide_catalog::{Key, KeyKind, Table};
use bastide_sql::{Ident, QualifiedName, join, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-023",
    title: "a unique key spans tenants",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, scoped) in posture.scoped_tables().filter(|(table, _)| table.parents.is_empty()) {
        for key in table.keys.iter().filter(|key| !key.columns.contains(&scoped.tenant_column)) {
            let message = format!("the unique key `{}` spans tenants: it tells whether a value exists anywhere", key.name);
            let weakness = if is_surrogate(posture, table, key) {
                Weakness::advised(
                    Severity::Info,
                    &table.name,
                    message,
                    "Nothing, where its values are surrogates; prefer keys that cannot be guessed.",
                )
            } else {
                let columns = std::iter::once(&scoped.tenant_column).chain(&key.columns);
                let mend = sql!(
                    "CREATE UNIQUE INDEX CONCURRENTLY ON {} ({}); {}",
                    table.name,
                    join(columns, ", "),
                    drop_key(&table.name, key)
                );
                Weakness::new(Severity::Warning, &table.name, message, mend).until_cutover(posture)
            };
            found.push(weakness);
        }
        for index in table.indexes.iter().filter(|index| {
            (index.unique || index.exclusion) && !index.columns.contains(&Some(scoped.tenant_column.clone()))
        }) {
            let message = format!(
                "the unique or exclusion index `{}` spans tenants: it tells whether a value exists anywhere",
                index.name
            );
            let advice = "Make one that begins with the tenant column, then drop this one.";
            // No composite of ours replaces these yet, and the plan says so before it runs.
            found.push(Weakness::advised(Severity::Info, &table.name, message, advice));
        }
    }
    found
}

/// The primary key, a key that contains it, a key of the root, whose names are the platform's own, or a number drawn.
fn is_surrogate(posture: &Posture, table: &Table, key: &Key) -> bool {
    let primary: Vec<&Ident> = table.primary_key().into_iter().flat_map(|key| &key.columns).collect();
    let contains_primary = !primary.is_empty() && primary.iter().all(|column| key.columns.contains(column));
    contains_primary || posture.is_root(table) || numbers_itself(table, key)
}

/// One column that numbers itself: its values say how many there are, not what they are.
fn numbers_itself(table: &Table, key: &Key) -> bool {
    let [only] = key.columns.as_slice() else { return false };
    table.column(only).is_some_and(|column| {
        let drawn = column.default.as_ref().is_some_and(|default| default.as_str().starts_with("nextval("));
        column.identity.is_some() || drawn
    })
}

fn drop_key(table: &QualifiedName, key: &Key) -> bastide_sql::Sql {
    if key.kind == KeyKind::UniqueIndex {
        sql!("DROP INDEX CONCURRENTLY {}", QualifiedName::new(table.schema.clone(), key.name.clone()))
    } else {
        sql!("ALTER TABLE {} DROP CONSTRAINT {}", table, key.name)
    }
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::KeyKind;

    use crate::{Severity, findings::{Weakness, found}, posture::fixture};

    fn counted(weaknesses: &[Weakness]) -> Vec<&Weakness> {
        weaknesses.iter().filter(|weakness| weakness.severity > Severity::Info).collect()
    }

    #[test]
    fn a_natural_key_is_found() {
        let bad = found(&CHECK, |posture| {
            fixture::spoil(posture, "orders").keys.push(fixture::key("orders_number", KeyKind::Unique, &["number"]));
        });
        assert_eq!(counted(&bad).len(), 1);
        assert_eq!(
            counted(&bad)[0].mend,
            r#"CREATE UNIQUE INDEX CONCURRENTLY ON "public"."orders" ("merchant_id", "number"); ALTER TABLE "public"."orders" DROP CONSTRAINT "orders_number";"#
        );
    }

    #[test]
    fn surrogate_keys_are_informational_and_keys_with_the_tenant_silent() {
        let good = found(&CHECK, |posture| {
            fixture::spoil(posture, "merchants").keys.push(fixture::key("slug", KeyKind::Unique, &["slug"]));
        });
        assert!(counted(&good).is_empty(), "{good:?}");
        assert_eq!(good.len(), 3);
    }
}
