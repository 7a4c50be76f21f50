//! New rows take the tenant of the context.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::context;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTenantDefault {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// Used where there is no context: the one tenant of a new root, until cutover.
    pub constant: Option<String>,
    pub previous: Option<Sql>,
}

/// Of this table alone: rows that come through a partitioned parent take the parent's default, rows written to a
/// partition itself the partition's, and the defaults there were before may differ. Each member gets its own step.
impl SetTenantDefault {
    pub(super) fn subject(&self) -> String {
        let until = if self.constant.is_some() { " (with fallback)" } else { "" };
        format!("{}.{}{until}", self.table, self.column)
    }

    pub(super) fn describe(&self) -> String {
        match &self.constant {
            None => format!("give new rows of {} the tenant of the context", self.table),
            Some(_) => {
                format!("give new rows of {} the tenant of the context, else the one there is", self.table)
            }
        }
    }

    pub(super) fn forward(&self) -> Script {
        let context = context::current_tenant(&self.type_name);
        let default = match &self.constant {
            None => context,
            Some(value) => sql!("COALESCE({}, {}::{})", context, Literal::text(value), self.type_name),
        };
        self.script(sql!("SET DEFAULT {}", default))
    }

    pub(super) fn inverse(&self) -> Script {
        self.script(match &self.previous {
            None => sql!("DROP DEFAULT"),
            Some(expression) => sql!("SET DEFAULT {}", expression),
        })
    }

    fn script(&self, action: Sql) -> Script {
        let alter = sql!("ALTER TABLE ONLY {} ALTER COLUMN {} {}", self.table, self.column, action);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![alter])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let context = context::printed_current_tenant(&self.type_name);
        let default = match &self.constant {
            None => context,
            Some(value) => sql!("COALESCE({}, {}::{})", context, Literal::text(value), self.type_name),
        };
        let columns = catalog.tables.get_mut(&self.table).into_iter().flat_map(|table| &mut table.columns);
        for column in columns.filter(|column| column.name == self.column) {
            column.default = Some(default.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, name, show},
    };

    const TENANT: &str = "018f0000-0000-7000-8000-0000000000aa";

    fn step(table: &str, type_name: Sql, constant: Option<&str>, previous: Option<Sql>) -> Step {
        Step::SetTenantDefault(SetTenantDefault {
            table: name(table),
            column: ident("tenant_id"),
            type_name,
            constant: constant.map(ToOwned::to_owned),
            previous,
        })
    }

    #[test]
    fn scripts() {
        let step = step("public.orders", sql!("uuid"), None, None);
        insta::assert_snapshot!(step.id(), @"set_tenant_default:public.orders.tenant_id");
        insta::assert_snapshot!(step.describe(), @"give new rows of public.orders the tenant of the context");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE ONLY "public"."orders" ALTER COLUMN "tenant_id" SET DEFAULT bastide.current_tenant()::uuid;
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE ONLY "public"."orders" ALTER COLUMN "tenant_id" DROP DEFAULT;
        "#);
    }

    #[test]
    fn scripts_with_a_constant() {
        let step = step("public.orders", sql!("uuid"), Some(TENANT), Some(sql!("gen_random_uuid()")));
        insta::assert_snapshot!(step.id(), @"set_tenant_default:public.orders.tenant_id (with fallback)");
        insta::assert_snapshot!(step.describe(), @"give new rows of public.orders the tenant of the context, else the one there is");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE ONLY "public"."orders" ALTER COLUMN "tenant_id" SET DEFAULT COALESCE(bastide.current_tenant()::uuid, '018f0000-0000-7000-8000-0000000000aa'::uuid);
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.orders
        ALTER TABLE ONLY "public"."orders" ALTER COLUMN "tenant_id" SET DEFAULT gen_random_uuid();
        "#);
    }

    #[tokio::test]
    async fn the_context_fills_new_rows_and_the_old_default_comes_back() {
        let schema = "CREATE TABLE orders (id int, tenant_id uuid); CREATE TABLE notes (id int, tenant_id uuid DEFAULT gen_random_uuid());
             CREATE TABLE words (tenant_id text); CREATE TABLE short (tenant_id varchar(8));
             CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY LIST (id);
             CREATE TABLE part1 PARTITION OF parts (tenant_id DEFAULT gen_random_uuid()) FOR VALUES IN (1)";
        let mut trial = Trial::of("uuid", schema).await;
        trial.round(&step("public.orders", sql!("uuid"), None, None)).await;
        trial.round(&step("public.notes", sql!("uuid"), Some(TENANT), Some(sql!("gen_random_uuid()")))).await;
        trial.round(&step("public.words", sql!("text"), None, None)).await;
        trial.round(&step("public.short", sql!("character varying(8)"), None, None)).await;
        trial.round(&step("public.parts", sql!("uuid"), None, None)).await;
        trial
            .execute(&format!(
                "BEGIN; SELECT bastide.set_tenant('{TENANT}'); INSERT INTO public.orders VALUES (1); COMMIT"
            ))
            .await;
        trial.execute("INSERT INTO public.orders VALUES (2); INSERT INTO public.notes VALUES (1)").await;
        let rows = "SELECT string_agg(COALESCE(tenant_id::text, '-'), ' ' ORDER BY id) FROM public.orders";
        assert_eq!(trial.db.query_one_text(rows).await, format!("{TENANT} -"));
        assert_eq!(trial.db.query_one_text("SELECT tenant_id FROM public.notes").await, TENANT);
    }
}
