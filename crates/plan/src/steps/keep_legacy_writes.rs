//! Until cutover, rows that legacy statements write get their tenant from the rows they reference.

use bastide_catalog::{Catalog, Table, TableKind, Trigger, TriggerEnabled, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{
    context::{self, DollarQuoted, Plain},
    family::family,
    readers,
};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepLegacyWrites {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// A legacy column: what a legacy statement writes there itself is never overridden.
    pub reused: bool,
    /// Foreign keys to scoped tables, any of which may say whose the row is.
    pub parents: Vec<TenantSource>,
    /// Receives what no parent settles; `None`: such a row keeps NULL until cutover.
    pub quarantine: Option<String>,
}

/// A reference that a row can learn its tenant from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSource {
    pub columns: Vec<Ident>,
    pub parent: QualifiedName,
    pub parent_columns: Vec<Ident>,
    pub parent_tenant: Ident,
}

impl KeepLegacyWrites {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("give rows that legacy statements write to {} their tenant", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let (function, owner) = (self.function(), context::bastide_owner());
        let mut statements = readers::grant(&self.account(), &self.reads());
        statements.extend([
            sql!(
                "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {}",
                function,
                DollarQuoted(self.body())
            ),
            sql!("ALTER FUNCTION {}() OWNER TO {}", function, owner),
            sql!("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC", function),
            sql!(
                "CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
                trigger(),
                self.table,
                function
            ),
        ]);
        Script::transaction(LockMode::ShareRowExclusive, vec![self.table.clone()], statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let mut statements = vec![
            sql!("DROP TRIGGER {} ON {}", trigger(), self.table),
            sql!("DROP FUNCTION {}()", self.function()),
        ];
        statements.extend(readers::release(&self.account(), &self.reads()));
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    /// The table's name as people write it, quotes and all: two tables cannot come to share one function.
    fn function(&self) -> QualifiedName {
        QualifiedName::new(
            Ident::constant("bastide"),
            Ident::derived(&self.table.to_string(), ".keep_tenant"),
        )
    }

    fn account(&self) -> String {
        format!("keep_legacy_writes:{}", self.table)
    }

    fn reads(&self) -> Vec<QualifiedName> {
        let mut reads: Vec<QualifiedName> = Vec::new();
        for source in &self.parents {
            if !reads.contains(&source.parent) {
                reads.push(source.parent.clone());
            }
        }
        reads
    }

    /// What the trigger does, in the order of its questions. It runs as `bastide_owner`, whom no policy filters, and
    /// gives nothing away: an error names the table, never a value.
    fn body(&self) -> Sql {
        let column = &self.column;
        let open = context::open_type(&self.type_name);
        let quarantine = match &self.quarantine {
            Some(tenant) => sql!("{}::{}", Literal::text(tenant), open),
            None => sql!("NULL"),
        };
        sql!(
            "
DECLARE
    context {} := {};
    parent {};
    derived {};
    unknown boolean := false;
    conflict boolean := false;
BEGIN
    -- It has a tenant, and nothing that says whose it is has changed.
    IF NEW.{} IS NOT NULL AND {} THEN
        RETURN NEW;
    END IF;
{}    IF context IS NOT NULL THEN
        NEW.{} := COALESCE(NEW.{}, context);
    ELSIF conflict THEN
        -- Of a row that was there before the run, inference decides.
        IF TG_OP = 'INSERT' OR OLD.{} IS NOT NULL THEN
            NEW.{} := {};
        END IF;
    ELSIF unknown THEN
        -- A parent has no tenant yet: this row gets its own in the same pass.
        NEW.{} := NULL;
    ELSIF derived IS NOT NULL THEN
        NEW.{} := derived;
    ELSIF TG_OP = 'INSERT' THEN
        NEW.{} := {};
    END IF;
    RETURN NEW;
END
",
            open,
            context::current_tenant(&self.type_name),
            open,
            open,
            column,
            self.settled(),
            join(self.parents.iter().map(|source| self.ask(source)), ""),
            column,
            column,
            column,
            column,
            quarantine,
            column,
            column,
            column,
            quarantine
        )
    }

    /// When a filled tenant column is left alone. In an added column only we write, so a changed reference is asked about
    /// again; in a legacy column the legacy statement's own word stands.
    fn settled(&self) -> Sql {
        let mut references: Vec<&Ident> = Vec::new();
        for column in self.parents.iter().flat_map(|source| &source.columns) {
            if *column != self.column && !references.contains(&column) {
                references.push(column);
            }
        }
        let legacy =
            if self.reused { sql!("context IS NULL") } else { sql!("TG_OP = 'INSERT' AND context IS NULL") };
        if references.is_empty() {
            return sql!("(TG_OP = 'UPDATE' OR {})", legacy);
        }
        sql!(
            "({} OR TG_OP = 'UPDATE' AND ROW({}) IS NOT DISTINCT FROM ROW({}))",
            legacy,
            join(references.iter().map(|name| sql!("NEW.{}", name)), ", "),
            join(references.iter().map(|name| sql!("OLD.{}", name)), ", ")
        )
    }

    fn ask(&self, source: &TenantSource) -> Sql {
        let given = source.columns.iter().map(|name| sql!("NEW.{} IS NOT NULL", name));
        let pairs = source.columns.iter().zip(&source.parent_columns);
        let matches = pairs.map(|(own, parent)| sql!("p.{} = NEW.{}", parent, own));
        sql!(
            "    IF {} THEN
        SELECT p.{} INTO parent FROM {} AS p WHERE {} LIMIT 1;
        IF FOUND THEN
            IF context IS NOT NULL AND parent IS DISTINCT FROM COALESCE(NEW.{}, context) THEN
                RAISE foreign_key_violation USING MESSAGE = {}, SCHEMA = {}, TABLE = {};
            END IF;
            unknown := unknown OR parent IS NULL;
            conflict := conflict OR parent <> derived;
            derived := COALESCE(derived, parent);
        END IF;
    END IF;
",
            join(given, " AND "),
            source.parent_tenant,
            source.parent,
            join(matches, " AND "),
            self.column,
            Literal::text(format!(
                "a row of {} cannot refer to a row of {} that is not its own tenant's",
                self.table, source.parent
            )),
            Literal::text(self.table.schema.as_str()),
            Literal::text(self.table.name.as_str())
        )
    }

    /// A partitioned table's trigger is cloned to its partitions; inheritance hands nothing down.
    fn bearers(&self, catalog: &Catalog) -> Vec<QualifiedName> {
        let partitioned = |table: &Table| table.kind == TableKind::Partitioned;
        if catalog.table(&self.table).is_some_and(partitioned) {
            family(catalog, &self.table)
        } else {
            vec![self.table.clone()]
        }
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        readers::apply(catalog, &self.reads());
        for bearer in self.bearers(catalog) {
            let Some(table) = catalog.tables.get_mut(&bearer) else { continue };
            table.triggers.push(Trigger {
                name: trigger(),
                function: self.function(),
                on_insert: true,
                on_update: true,
                on_delete: false,
                on_truncate: false,
                before: true,
                for_each_row: true,
                enabled: TriggerEnabled::Origin,
                definition: sql!(
                    "CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
                    Plain(&trigger()),
                    Plain(&bearer),
                    Plain(&self.function())
                ),
            });
            table.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    /// Projects the inverse.
    pub(super) fn unapply(&self, catalog: &mut Catalog) {
        for bearer in self.bearers(catalog) {
            if let Some(table) = catalog.tables.get_mut(&bearer) {
                table.triggers.retain(|found| found.name != trigger());
            }
        }
        readers::unapply(catalog, &self.reads(), &trigger());
    }
}

/// Triggers fire in the order of their names; `~` comes after every letter.
fn trigger() -> Ident {
    Ident::constant("~bastide_tenant")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn keeper(reused: bool, quarantine: Option<&str>) -> KeepLegacyWrites {
        let source = |columns: &[&str], parent: &str, parent_columns: &[&str], tenant: &str| TenantSource {
            columns: idents(columns),
            parent: name(parent),
            parent_columns: idents(parent_columns),
            parent_tenant: ident(tenant),
        };
        KeepLegacyWrites {
            table: name("public.Orders"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            reused,
            parents: vec![
                source(&["customer_id"], "crm.customers", &["id"], "merchant_id"),
                source(&["shelf", "box"], "public.boxes", &["shelf", "box"], "tenant_id"),
                source(&["follows"], "public.Orders", &["id"], "tenant_id"),
            ],
            quarantine: quarantine.map(ToOwned::to_owned),
        }
    }

    const SCHEMA: &str = r#"CREATE SCHEMA crm; CREATE TABLE crm.customers (id int PRIMARY KEY, merchant_id int);
         CREATE TABLE boxes (shelf text, box int, tenant_id int, PRIMARY KEY (shelf, box));
         CREATE TABLE "Orders" (id int PRIMARY KEY, customer_id int REFERENCES crm.customers ON DELETE SET NULL, shelf text, box int, follows int, tenant_id int, note text);
         GRANT INSERT, UPDATE ON "Orders" TO legacy; GRANT SELECT ON boxes TO reporting;
         INSERT INTO crm.customers VALUES (1, 10), (2, 20), (3, NULL); INSERT INTO boxes VALUES ('a', 1, 10), ('a', 2, 20)"#;

    async fn tenant(trial: &Trial, id: i32) -> String {
        let query = format!(r#"SELECT COALESCE(tenant_id::text, '-') FROM public."Orders" WHERE id = {id}"#);
        trial.db.query_one_text(&query).await
    }

    async fn insert(trial: &Trial, columns: &str, values: &str) {
        trial.execute(&format!(r#"INSERT INTO public."Orders" ({columns}) VALUES ({values})"#)).await;
    }

    #[test]
    fn scripts() {
        let step = Step::KeepLegacyWrites(keeper(false, Some("-1")));
        insta::assert_snapshot!(step.id(), @r#"keep_legacy_writes:public."Orders""#);
        insta::assert_snapshot!(step.describe(), @r#"give rows that legacy statements write to public."Orders" their tenant"#);
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- SHARE ROW EXCLUSIVE on public."Orders"
        INSERT INTO bastide.reader (step, schema, relation) VALUES ('keep_legacy_writes:public."Orders"', 'crm', '"crm"."customers"') ON CONFLICT DO NOTHING;
        GRANT USAGE ON SCHEMA "crm" TO "bastide_owner";
        DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"crm"."customers"'::regclass) THEN GRANT SELECT ON TABLE "crm"."customers" TO "bastide_owner"; END IF; END$bastide$;
        INSERT INTO bastide.reader (step, schema, relation) VALUES ('keep_legacy_writes:public."Orders"', 'public', '"public"."boxes"') ON CONFLICT DO NOTHING;
        GRANT USAGE ON SCHEMA "public" TO "bastide_owner";
        DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."boxes"'::regclass) THEN GRANT SELECT ON TABLE "public"."boxes" TO "bastide_owner"; END IF; END$bastide$;
        INSERT INTO bastide.reader (step, schema, relation) VALUES ('keep_legacy_writes:public."Orders"', 'public', '"public"."Orders"') ON CONFLICT DO NOTHING;
        GRANT USAGE ON SCHEMA "public" TO "bastide_owner";
        DO $bastide$BEGIN IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."Orders"'::regclass) THEN GRANT SELECT ON TABLE "public"."Orders" TO "bastide_owner"; END IF; END$bastide$;
        CREATE FUNCTION "bastide"."public.""Orders"".keep_tenant"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $bastide$
        DECLARE
            context integer := bastide.current_tenant()::integer;
            parent integer;
            derived integer;
            unknown boolean := false;
            conflict boolean := false;
        BEGIN
            -- It has a tenant, and nothing that says whose it is has changed.
            IF NEW."tenant_id" IS NOT NULL AND (TG_OP = 'INSERT' AND context IS NULL OR TG_OP = 'UPDATE' AND ROW(NEW."customer_id", NEW."shelf", NEW."box", NEW."follows") IS NOT DISTINCT FROM ROW(OLD."customer_id", OLD."shelf", OLD."box", OLD."follows")) THEN
                RETURN NEW;
            END IF;
            IF NEW."customer_id" IS NOT NULL THEN
                SELECT p."merchant_id" INTO parent FROM "crm"."customers" AS p WHERE p."id" = NEW."customer_id" LIMIT 1;
                IF FOUND THEN
                    IF context IS NOT NULL AND parent IS DISTINCT FROM COALESCE(NEW."tenant_id", context) THEN
                        RAISE foreign_key_violation USING MESSAGE = 'a row of public."Orders" cannot refer to a row of crm.customers that is not its own tenant''s', SCHEMA = 'public', TABLE = 'Orders';
                    END IF;
                    unknown := unknown OR parent IS NULL;
                    conflict := conflict OR parent <> derived;
                    derived := COALESCE(derived, parent);
                END IF;
            END IF;
            IF NEW."shelf" IS NOT NULL AND NEW."box" IS NOT NULL THEN
                SELECT p."tenant_id" INTO parent FROM "public"."boxes" AS p WHERE p."shelf" = NEW."shelf" AND p."box" = NEW."box" LIMIT 1;
                IF FOUND THEN
                    IF context IS NOT NULL AND parent IS DISTINCT FROM COALESCE(NEW."tenant_id", context) THEN
                        RAISE foreign_key_violation USING MESSAGE = 'a row of public."Orders" cannot refer to a row of public.boxes that is not its own tenant''s', SCHEMA = 'public', TABLE = 'Orders';
                    END IF;
                    unknown := unknown OR parent IS NULL;
                    conflict := conflict OR parent <> derived;
                    derived := COALESCE(derived, parent);
                END IF;
            END IF;
            IF NEW."follows" IS NOT NULL THEN
                SELECT p."tenant_id" INTO parent FROM "public"."Orders" AS p WHERE p."id" = NEW."follows" LIMIT 1;
                IF FOUND THEN
                    IF context IS NOT NULL AND parent IS DISTINCT FROM COALESCE(NEW."tenant_id", context) THEN
                        RAISE foreign_key_violation USING MESSAGE = 'a row of public."Orders" cannot refer to a row of public."Orders" that is not its own tenant''s', SCHEMA = 'public', TABLE = 'Orders';
                    END IF;
                    unknown := unknown OR parent IS NULL;
                    conflict := conflict OR parent <> derived;
                    derived := COALESCE(derived, parent);
                END IF;
            END IF;
            IF context IS NOT NULL THEN
                NEW."tenant_id" := COALESCE(NEW."tenant_id", context);
            ELSIF conflict THEN
                -- Of a row that was there before the run, inference decides.
                IF TG_OP = 'INSERT' OR OLD."tenant_id" IS NOT NULL THEN
                    NEW."tenant_id" := '-1'::integer;
                END IF;
            ELSIF unknown THEN
                -- A parent has no tenant yet: this row gets its own in the same pass.
                NEW."tenant_id" := NULL;
            ELSIF derived IS NOT NULL THEN
                NEW."tenant_id" := derived;
            ELSIF TG_OP = 'INSERT' THEN
                NEW."tenant_id" := '-1'::integer;
            END IF;
            RETURN NEW;
        END
        $bastide$;
        ALTER FUNCTION "bastide"."public.""Orders"".keep_tenant"() OWNER TO "bastide_owner";
        REVOKE EXECUTE ON FUNCTION "bastide"."public.""Orders"".keep_tenant"() FROM PUBLIC;
        CREATE TRIGGER "~bastide_tenant" BEFORE INSERT OR UPDATE ON "public"."Orders" FOR EACH ROW EXECUTE FUNCTION "bastide"."public.""Orders"".keep_tenant"();
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public."Orders"
        DROP TRIGGER "~bastide_tenant" ON "public"."Orders";
        DROP FUNCTION "bastide"."public.""Orders"".keep_tenant"();
        DELETE FROM bastide.reader WHERE step = 'keep_legacy_writes:public."Orders"';
        DO $bastide$BEGIN
            IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"crm"."customers"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"crm"."customers"') THEN
                REVOKE SELECT ON TABLE "crm"."customers" FROM "bastide_owner";
            END IF;
            IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'crm') THEN
                REVOKE USAGE ON SCHEMA "crm" FROM "bastide_owner";
            END IF;
        END$bastide$;
        DO $bastide$BEGIN
            IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."boxes"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."boxes"') THEN
                REVOKE SELECT ON TABLE "public"."boxes" FROM "bastide_owner";
            END IF;
            IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'public') THEN
                REVOKE USAGE ON SCHEMA "public" FROM "bastide_owner";
            END IF;
        END$bastide$;
        DO $bastide$BEGIN
            IF (SELECT relowner <> 'bastide_owner'::regrole FROM pg_class WHERE oid = '"public"."Orders"'::regclass) AND NOT EXISTS (SELECT FROM bastide.reader WHERE relation = '"public"."Orders"') THEN
                REVOKE SELECT ON TABLE "public"."Orders" FROM "bastide_owner";
            END IF;
            IF NOT EXISTS (SELECT FROM bastide.reader WHERE schema = 'public') THEN
                REVOKE USAGE ON SCHEMA "public" FROM "bastide_owner";
            END IF;
        END$bastide$;
        "#);
    }

    #[tokio::test]
    async fn comes_and_goes_with_its_grants() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.round(&Step::KeepLegacyWrites(keeper(false, Some("-1")))).await;
    }

    #[tokio::test]
    async fn a_partitioned_tables_trigger_is_on_every_leaf() {
        let schema = "CREATE TABLE customers (id int PRIMARY KEY, tenant_id int); INSERT INTO customers VALUES (1, 10);
             CREATE TABLE parts (day int, customer_id int, tenant_id int) PARTITION BY LIST (day); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1)";
        let mut trial = Trial::of("integer", schema).await;
        let step = Step::KeepLegacyWrites(KeepLegacyWrites {
            table: name("public.parts"),
            column: ident("tenant_id"),
            type_name: sql!("integer"),
            reused: false,
            parents: vec![TenantSource {
                columns: idents(&["customer_id"]),
                parent: name("public.customers"),
                parent_columns: idents(&["id"]),
                parent_tenant: ident("tenant_id"),
            }],
            quarantine: None,
        });
        trial.round(&step).await;
        trial.execute("INSERT INTO public.parts VALUES (1, 1); INSERT INTO public.part1 VALUES (1, 1)").await;
        assert_eq!(
            trial.db.query_one_text("SELECT string_agg(tenant_id::text, ' ') FROM public.parts").await,
            "10 10"
        );
    }

    #[tokio::test]
    async fn what_another_keeper_reads_stays_readable() {
        let schema = "CREATE TABLE customers (id int PRIMARY KEY, tenant_id int); CREATE TABLE a (c int, tenant_id int); CREATE TABLE b (c int, tenant_id int)";
        let mut trial = Trial::of("integer", schema).await;
        let before = trial.db.schema_dump().await;
        let of = |table: &str| {
            Step::KeepLegacyWrites(KeepLegacyWrites {
                table: name(table),
                column: ident("tenant_id"),
                type_name: sql!("integer"),
                reused: false,
                parents: vec![TenantSource {
                    columns: idents(&["c"]),
                    parent: name("public.customers"),
                    parent_columns: idents(&["id"]),
                    parent_tenant: ident("tenant_id"),
                }],
                quarantine: None,
            })
        };
        trial.forward(&of("public.a")).await;
        trial.forward(&of("public.b")).await;
        trial.undo(&of("public.b")).await;
        trial.execute("INSERT INTO public.a VALUES (1)").await;
        trial.undo(&of("public.a")).await;
        assert_eq!(before, trial.db.schema_dump().await);
    }

    #[tokio::test]
    async fn new_rows_follow_their_parents() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.forward(&Step::KeepLegacyWrites(keeper(false, Some("-1")))).await;
        trial.execute("SET ROLE legacy").await;
        insert(&trial, "id, customer_id", "1, 1").await;
        insert(&trial, "id, customer_id, shelf, box", "2, 2, 'a', 2").await;
        insert(&trial, "id, customer_id, shelf, box", "3, 1, 'a', 2").await;
        insert(&trial, "id, note", "4, 'nobody'").await;
        insert(&trial, "id, customer_id", "5, 3").await;
        insert(&trial, "id, follows", "6, 2").await;
        insert(&trial, "id, follows", "7, 7").await;
        trial.execute("RESET ROLE").await;
        assert_eq!(tenant(&trial, 1).await, "10");
        assert_eq!(tenant(&trial, 2).await, "20", "unanimous");
        assert_eq!(tenant(&trial, 3).await, "-1", "conflicting");
        assert_eq!(tenant(&trial, 4).await, "-1", "no parent");
        assert_eq!(tenant(&trial, 5).await, "-", "its parent is still unknown");
        assert_eq!(tenant(&trial, 6).await, "20", "of its own table");
        assert_eq!(tenant(&trial, 7).await, "-1", "itself is no evidence");
    }

    #[tokio::test]
    async fn without_a_quarantine_nothing_is_invented() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.forward(&Step::KeepLegacyWrites(keeper(false, None))).await;
        insert(&trial, "id", "1").await;
        insert(&trial, "id, customer_id, shelf, box", "2, 1, 'a', 2").await;
        assert_eq!(tenant(&trial, 1).await, "-");
        assert_eq!(tenant(&trial, 2).await, "-");
    }

    #[tokio::test]
    async fn a_changed_reference_is_asked_about_again() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        insert(&trial, "id, note", "9, 'there before the run'").await;
        trial.forward(&Step::KeepLegacyWrites(keeper(false, Some("-1")))).await;
        insert(&trial, "id, customer_id", "1, 1").await;
        let update = async |set: &str, id: i32| {
            trial.execute(&format!(r#"UPDATE public."Orders" SET {set} WHERE id = {id}"#)).await;
        };
        update("note = 'x'", 1).await;
        assert_eq!(tenant(&trial, 1).await, "10");
        update("customer_id = 2", 1).await;
        assert_eq!(tenant(&trial, 1).await, "20");
        update("tenant_id = 30", 1).await;
        assert_eq!(tenant(&trial, 1).await, "30", "the operator's own word stands");
        trial.execute("DELETE FROM crm.customers WHERE id = 2").await;
        assert_eq!(tenant(&trial, 1).await, "30", "losing a reference says nothing new");
        update("shelf = 'a', box = 1, customer_id = 1", 1).await;
        assert_eq!(tenant(&trial, 1).await, "10");
        update("box = 2", 1).await;
        assert_eq!(tenant(&trial, 1).await, "-1", "conflicting");
        update("note = 'y'", 9).await;
        assert_eq!(tenant(&trial, 9).await, "-", "inference decides");
    }

    #[tokio::test]
    async fn in_a_legacy_column_the_legacy_word_stands() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.forward(&Step::KeepLegacyWrites(keeper(true, Some("-1")))).await;
        insert(&trial, "id, customer_id, tenant_id", "1, 1, 77").await;
        insert(&trial, "id, customer_id", "2, 1").await;
        assert_eq!(tenant(&trial, 1).await, "77");
        assert_eq!(tenant(&trial, 2).await, "10");
        trial.execute(r#"UPDATE public."Orders" SET customer_id = 2"#).await;
        assert_eq!(tenant(&trial, 1).await, "77");
        assert_eq!(tenant(&trial, 2).await, "10");
    }

    #[tokio::test]
    async fn with_a_context_a_reference_stays_inside() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        trial.forward(&Step::KeepLegacyWrites(keeper(false, Some("-1")))).await;
        let as_ten = |text: &str| format!("BEGIN; SELECT bastide.set_tenant('10'); {text}; COMMIT");
        trial.execute(&as_ten(r#"INSERT INTO public."Orders" (id, customer_id) VALUES (1, 1)"#)).await;
        trial.execute(&as_ten(r#"INSERT INTO public."Orders" (id) VALUES (2)"#)).await;
        assert_eq!(tenant(&trial, 1).await, "10");
        assert_eq!(tenant(&trial, 2).await, "10", "the context's, without any parent");
        for customer in [2, 3] {
            let insert = format!(r#"INSERT INTO public."Orders" (id, customer_id) VALUES (3, {customer})"#);
            assert_eq!(trial.refused(&as_ten(&insert)).await, "23503");
        }
        assert_eq!(trial.refused(&as_ten(r#"UPDATE public."Orders" SET customer_id = 2"#)).await, "23503");
        let named = trial
            .client
            .batch_execute(&as_ten(r#"UPDATE public."Orders" SET customer_id = 2"#))
            .await
            .unwrap_err();
        let named = named.as_db_error().unwrap();
        assert_eq!((named.schema(), named.table()), (Some("public"), Some("Orders")));
        insta::assert_snapshot!(named.message(), @r#"a row of public."Orders" cannot refer to a row of crm.customers that is not its own tenant's"#);
    }

    #[tokio::test]
    async fn two_tables_may_refer_to_each_other() {
        let schema = "CREATE TABLE a (id int PRIMARY KEY, b int, tenant_id int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a, tenant_id int);
             ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; INSERT INTO b VALUES (1, NULL, 10)";
        let mut trial = Trial::of("integer", schema).await;
        for (own, other) in [("a", "b"), ("b", "a")] {
            let step = Step::KeepLegacyWrites(KeepLegacyWrites {
                table: name(&format!("public.{own}")),
                column: ident("tenant_id"),
                type_name: sql!("integer"),
                reused: false,
                parents: vec![TenantSource {
                    columns: idents(&[other]),
                    parent: name(&format!("public.{other}")),
                    parent_columns: idents(&["id"]),
                    parent_tenant: ident("tenant_id"),
                }],
                quarantine: None,
            });
            trial.round(&step).await;
        }
        trial.execute("INSERT INTO public.a VALUES (1, 1); UPDATE public.b SET a = 1").await;
        assert_eq!(
            trial.db.query_one_text("SELECT a.tenant_id || ' ' || b.tenant_id FROM public.a, public.b").await,
            "10 10"
        );
    }
}
