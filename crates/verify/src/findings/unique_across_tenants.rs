//! A unique key without the tenant answers "does this value exist anywhere?" to whoever may insert.

use bastide_catalog::{Index, Key, KeyKind, Table};
use bastide_sql::{Ident, QualifiedName, join, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check { id: "BST-023", title: "a unique key spans tenants", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (table, scoped) in posture.scoped_tables() {
        let catalog = &posture.catalog;
        let keys = table.keys.iter().filter(|key| !catalog.key_comes_with_parent(table, key));
        for key in keys.filter(|key| !key.columns.contains(&scoped.tenant_column)) {
            found.push(of_key(posture, table, &scoped.tenant_column, key));
        }
        let indexes = table.indexes.iter().filter(|index| index.unique || index.exclusion);
        let indexes = indexes.filter(|index| !catalog.index_comes_with_parent(table, index));
        for index in indexes.filter(|index| !index.columns.contains(&Some(scoped.tenant_column.clone()))) {
            found.push(of_index(posture, table, index));
        }
    }
    found
}

fn of_key(posture: &Posture, table: &Table, tenant: &Ident, key: &Key) -> Weakness {
    let message = says("unique key", &key.name);
    // The names of the root's rows are the platform's own.
    if table.tells_nothing(&key.columns) || posture.is_root(table) {
        return Weakness::advised(Severity::Info, &table.name, message, NOTHING);
    }
    if let Some(accepted) = posture.acceptance(&table.name, &key.name) {
        return Weakness::advised(Severity::Info, &table.name, message + &accepted, ACCEPTED);
    }
    let columns = std::iter::once(tenant).chain(&key.columns);
    let mend = sql!(
        "CREATE UNIQUE INDEX CONCURRENTLY ON {} ({}); {}",
        table.name,
        join(columns, ", "),
        drop_key(&table.name, key)
    );
    Weakness::new(Severity::Warning, &table.name, message, mend).until_cutover(posture)
}

/// Not until cutover: no step replaces these, so what is not accepted stays.
fn of_index(posture: &Posture, table: &Table, index: &Index) -> Weakness {
    let message = says(if index.exclusion { "exclusion constraint" } else { "unique index" }, &index.name);
    if table.index_tells_nothing(index) || posture.is_root(table) {
        return Weakness::advised(Severity::Info, &table.name, message, NOTHING);
    }
    match posture.acceptance(&table.name, &index.name) {
        Some(accepted) => Weakness::advised(Severity::Info, &table.name, message + &accepted, ACCEPTED),
        None => Weakness::advised(
            Severity::Warning,
            &table.name,
            message,
            "Make one that begins with the tenant column, then drop this one.",
        ),
    }
}

const NOTHING: &str = "Nothing, where its values are surrogates; prefer keys that cannot be guessed.";
const ACCEPTED: &str =
    "Nothing, while that holds; else make one that begins with the tenant column, then drop this one.";

fn says(what: &str, name: &Ident) -> String {
    format!("the {what} `{name}` spans tenants: it tells whether a value exists anywhere")
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

    use crate::{
        Severity,
        findings::{Weakness, found},
        posture::fixture,
    };

    fn counted(weaknesses: &[Weakness]) -> Vec<&Weakness> {
        weaknesses.iter().filter(|weakness| weakness.severity > Severity::Info).collect()
    }

    #[test]
    fn a_natural_key_is_found() {
        let bad = found(&CHECK, |posture| {
            fixture::spoil(posture, "orders").keys.push(fixture::key(
                "orders_number",
                KeyKind::Unique,
                &["number"],
            ));
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

    #[test]
    fn partial_expression_and_exclusion_indexes_are_found_but_not_those_that_hold_the_primary_key() {
        let spoil = |posture: &mut crate::Posture| {
            fixture::spoil(posture, "orders").indexes = vec![
                fixture::index("open", &[Some("number")], false),
                fixture::index("lower", &[None], false),
                fixture::index("apart", &[Some("id"), Some("period")], true),
                fixture::index("with_id", &[Some("id"), None], false),
                fixture::index("tenants_own", &[Some("merchant_id"), None], false),
            ];
        };
        let bad = found(&CHECK, spoil);
        assert_eq!(counted(&bad).len(), 3, "{bad:?}");
        // The root's are the platform's own names.
        let root = found(&CHECK, |posture| {
            fixture::spoil(posture, "merchants").indexes.push(fixture::index("lower_slug", &[None], false));
        });
        assert!(counted(&root).is_empty(), "{root:?}");
    }

    #[test]
    fn what_the_operator_accepted_is_informational_and_says_so() {
        let bad = found(&CHECK, |posture| {
            let orders = fixture::spoil(posture, "orders");
            orders.keys.push(fixture::key("number", KeyKind::Unique, &["number"]));
            orders.keys.push(fixture::key("other", KeyKind::Unique, &["other"]));
            orders.indexes.push(fixture::index("Lower", &[None], false));
            fixture::accept(
                posture,
                &["key:public.orders.number", "key:public.orders.\"Lower\"", "key:public.lines.other"],
            );
        });
        assert_eq!(counted(&bad).len(), 1, "{bad:?}");
        assert!(counted(&bad)[0].message.contains("`other`"));
        let said = bad.iter().filter(|weakness| weakness.message.contains("in the plan of run a-run"));
        assert!(said.clone().all(|weakness| weakness.severity == Severity::Info));
        assert_eq!(said.count(), 2);
    }
}
