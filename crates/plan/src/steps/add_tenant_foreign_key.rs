//! A reference that cannot leave its tenant. NOT VALID at first; on a partitioned table per leaf, then attached.

use bastide_catalog::{Action, Catalog, ForeignKey};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{
    context::{Plain, block},
    family::family,
};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantForeignKey {
    pub table: QualifiedName,
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub references: QualifiedName,
    pub referenced_columns: Vec<Ident>,
    pub on_update: Action,
    pub on_delete: Action,
    pub on_delete_columns: Vec<Ident>,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub leaves: Vec<(QualifiedName, Ident)>,
    /// It may be so without a leaf.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partitioned: bool,
}

impl AddTenantForeignKey {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("keep references from {} to {} inside their tenant", self.table, self.references)
    }

    /// On a partitioned table a key is never NOT VALID. Each leaf gets one, proven beside live traffic; the parent's then
    /// adopts them and scans nothing.
    pub(super) fn forward(&self) -> Script {
        if !self.is_partitioned() {
            let add = sql!("{} NOT VALID", self.add(&self.table, &self.name));
            return Script::transaction(LockMode::ShareRowExclusive, self.locked(), vec![add]);
        }
        let mut statements = Vec::new();
        for (leaf, name) in &self.leaves {
            statements.push(absent(leaf, name, &sql!("{} NOT VALID", self.add(leaf, name))));
            statements.push(sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", leaf, name));
        }
        statements.push(absent(&self.table, &self.name, &self.add(&self.table, &self.name)));
        Script::autocommit(LockMode::ShareRowExclusive, self.locked(), statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let drop = |table: &QualifiedName, name: &Ident, when: Sql| {
            sql!("ALTER TABLE {} DROP CONSTRAINT {}{}", table, when, name)
        };
        if !self.is_partitioned() {
            let drop = drop(&self.table, &self.name, sql!(""));
            return Script::transaction(LockMode::AccessExclusive, self.locked(), vec![drop]);
        }
        // The parent's takes its leaves' with it; those not yet adopted go one by one.
        let one = std::iter::once((&self.table, &self.name));
        let all = one.chain(self.leaves.iter().map(|(leaf, name)| (leaf, name)));
        let statements = all.map(|(table, name)| drop(table, name, sql!("IF EXISTS "))).collect();
        Script::autocommit(LockMode::AccessExclusive, self.locked(), statements)
    }

    /// Plans of earlier versions say it by the leaves alone.
    fn is_partitioned(&self) -> bool {
        self.partitioned || !self.leaves.is_empty()
    }

    fn locked(&self) -> Vec<QualifiedName> {
        let mut locked = vec![self.table.clone()];
        if self.references != self.table {
            locked.push(self.references.clone());
        }
        locked
    }

    fn add(&self, table: &QualifiedName, name: &Ident) -> Sql {
        sql!(
            "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){}",
            table,
            name,
            join(&self.columns, ", "),
            self.references,
            join(&self.referenced_columns, ", "),
            self.rules(|columns| sql!("{}", join(columns, ", ")))
        )
    }

    fn rules(&self, list: impl Fn(&[Ident]) -> Sql) -> Sql {
        let columns = match self.on_delete_columns.as_slice() {
            [] => sql!(""),
            columns => sql!(" ({})", list(columns)),
        };
        sql!(
            "{}{}{}{}{}",
            rule(&sql!(" ON UPDATE "), self.on_update),
            rule(&sql!(" ON DELETE "), self.on_delete),
            columns,
            if self.deferrable { sql!(" DEFERRABLE") } else { sql!("") },
            if self.initially_deferred { sql!(" INITIALLY DEFERRED") } else { sql!("") }
        )
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        // A partition that is itself partitioned gets the key under the name it has above.
        let members = if self.is_partitioned() { family(catalog, &self.table) } else { vec![self.table.clone()] };
        for table in &members {
            let name = self.leaves.iter().find(|(leaf, _)| leaf == table).map_or(&self.name, |(_, name)| name);
            let Some(found) = catalog.tables.get_mut(table) else { continue };
            let validated = self.is_partitioned();
            let plain = |columns: &[Ident]| sql!("{}", join(columns.iter().map(Plain), ", "));
            found.foreign_keys.push(ForeignKey {
                name: name.clone(),
                columns: self.columns.clone(),
                references: self.references.clone(),
                referenced_columns: self.referenced_columns.clone(),
                on_update: self.on_update,
                on_delete: self.on_delete,
                on_delete_columns: self.on_delete_columns.clone(),
                match_full: false,
                deferrable: self.deferrable,
                initially_deferred: self.initially_deferred,
                validated,
                inherited: *table != self.table,
                definition: sql!(
                    "FOREIGN KEY ({}) REFERENCES {}({}){}{}",
                    plain(&self.columns),
                    Plain(&self.references),
                    plain(&self.referenced_columns),
                    self.rules(plain),
                    if validated { sql!("") } else { sql!(" NOT VALID") }
                ),
            });
            found.foreign_keys.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
}

fn rule(event: &Sql, action: Action) -> Sql {
    match action {
        Action::NoAction => sql!(""),
        Action::Restrict => sql!("{}RESTRICT", event),
        Action::Cascade => sql!("{}CASCADE", event),
        Action::SetNull => sql!("{}SET NULL", event),
        Action::SetDefault => sql!("{}SET DEFAULT", event),
    }
}

/// Adds a constraint unless it is there from an earlier try.
pub(super) fn absent(table: &QualifiedName, name: &Ident, add: &Sql) -> Sql {
    block(sql!(
        "BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = {}::regclass AND conname = {}) THEN
        {};
    END IF;
END",
        Literal::text(sql!("{}", table).as_str()),
        Literal::text(name.as_str()),
        add
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn step(table: &str, leaves: &[&str]) -> Step {
        Step::AddTenantForeignKey(AddTenantForeignKey {
            table: name(table),
            name: ident("of_tenant"),
            columns: idents(&["tenant_id", "Customer"]),
            references: name("public.customers"),
            referenced_columns: idents(&["tenant_id", "id"]),
            on_update: Action::Cascade,
            on_delete: Action::SetNull,
            on_delete_columns: idents(&["Customer"]),
            deferrable: true,
            initially_deferred: true,
            leaves: leaves
                .iter()
                .map(|leaf| (name(&format!("public.{leaf}")), ident("leaf_of_tenant")))
                .collect(),
            partitioned: !leaves.is_empty(),
        })
    }

    const SCHEMA: &str = r#"CREATE TABLE customers (id int PRIMARY KEY, tenant_id int); CREATE UNIQUE INDEX ON customers (tenant_id, id);
         INSERT INTO customers VALUES (1, 10), (2, 20);
         CREATE TABLE orders ("Customer" int, tenant_id int);
         CREATE TABLE parts (day int, "Customer" int, tenant_id int) PARTITION BY LIST (day);
         CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1); CREATE TABLE part2 PARTITION OF parts FOR VALUES IN (2);
         CREATE TABLE notes (day int, tenant_id int);
         CREATE TABLE days (day int, tenant_id int, UNIQUE (tenant_id, day)) PARTITION BY LIST (day); CREATE TABLE day1 PARTITION OF days FOR VALUES IN (1)"#;

    #[test]
    fn scripts() {
        let step = step("public.orders", &[]);
        insta::assert_snapshot!(step.id(), @"add_tenant_foreign_key:public.orders.of_tenant");
        insta::assert_snapshot!(step.describe(), @"keep references from public.orders to public.customers inside their tenant");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- SHARE ROW EXCLUSIVE on public.orders, public.customers
        ALTER TABLE "public"."orders" ADD CONSTRAINT "of_tenant" FOREIGN KEY ("tenant_id", "Customer") REFERENCES "public"."customers" ("tenant_id", "id") ON UPDATE CASCADE ON DELETE SET NULL ("Customer") DEFERRABLE INITIALLY DEFERRED NOT VALID;
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders, public.customers
        ALTER TABLE "public"."orders" DROP CONSTRAINT "of_tenant";
        "#);
    }

    #[test]
    fn scripts_of_a_partitioned_table() {
        let step = step("public.parts", &["part1"]);
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Autocommit
        -- SHARE ROW EXCLUSIVE on public.parts, public.customers
        DO $bastide$BEGIN
            IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '"public"."part1"'::regclass AND conname = 'leaf_of_tenant') THEN
                ALTER TABLE "public"."part1" ADD CONSTRAINT "leaf_of_tenant" FOREIGN KEY ("tenant_id", "Customer") REFERENCES "public"."customers" ("tenant_id", "id") ON UPDATE CASCADE ON DELETE SET NULL ("Customer") DEFERRABLE INITIALLY DEFERRED NOT VALID;
            END IF;
        END$bastide$;
        ALTER TABLE "public"."part1" VALIDATE CONSTRAINT "leaf_of_tenant";
        DO $bastide$BEGIN
            IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '"public"."parts"'::regclass AND conname = 'of_tenant') THEN
                ALTER TABLE "public"."parts" ADD CONSTRAINT "of_tenant" FOREIGN KEY ("tenant_id", "Customer") REFERENCES "public"."customers" ("tenant_id", "id") ON UPDATE CASCADE ON DELETE SET NULL ("Customer") DEFERRABLE INITIALLY DEFERRED;
            END IF;
        END$bastide$;
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Autocommit
        -- ACCESS EXCLUSIVE on public.parts, public.customers
        ALTER TABLE "public"."parts" DROP CONSTRAINT IF EXISTS "of_tenant";
        ALTER TABLE "public"."part1" DROP CONSTRAINT IF EXISTS "leaf_of_tenant";
        "#);
    }

    #[tokio::test]
    async fn a_reference_cannot_leave_its_tenant() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.execute(r#"INSERT INTO public.orders VALUES (1, 20)"#).await;
        trial.round(&step("public.orders", &[])).await;
        assert_eq!(trial.refused("INSERT INTO public.orders VALUES (1, 20)").await, "23503");
        trial.execute("DELETE FROM public.orders").await;
        trial.round(&step("public.parts", &["part1", "part2"])).await;
        assert_eq!(trial.refused("INSERT INTO public.parts VALUES (2, 1, 20)").await, "23503");
        trial
            .execute("INSERT INTO public.parts VALUES (2, 1, 10); DELETE FROM public.customers WHERE id = 1")
            .await;
        let row = r#"SELECT ("Customer" IS NULL) || ' ' || tenant_id FROM public.parts"#;
        assert_eq!(trial.db.query_one_text(row).await, "true 10", "the tenant stays");
        let to_partitioned = Step::AddTenantForeignKey(AddTenantForeignKey {
            table: name("public.notes"),
            name: ident("notes_of_tenant"),
            columns: idents(&["tenant_id", "day"]),
            references: name("public.days"),
            referenced_columns: idents(&["tenant_id", "day"]),
            on_update: Action::NoAction,
            on_delete: Action::Cascade,
            on_delete_columns: Vec::new(),
            deferrable: false,
            initially_deferred: false,
            leaves: Vec::new(),
            partitioned: false,
        });
        trial.round(&to_partitioned).await;
    }
}
