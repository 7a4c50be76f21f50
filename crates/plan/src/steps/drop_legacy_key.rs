//! A legacy unique or simple foreign key whose tenant-wide successor is in place.

use bastide_catalog::{Catalog, KeyKind};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{
    add_tenant_foreign_key::absent,
    context::block,
    indexes::{hurried, patient},
    validate_constraint::proven,
};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropLegacyKey {
    pub table: QualifiedName,
    pub name: Ident,
    /// Not `kind` in JSON: that is the step's own tag.
    #[serde(rename = "key")]
    pub kind: LegacyKey,
    /// `pg_get_constraintdef` / `pg_get_indexdef`: what the inverse runs.
    pub definition: Sql,
    pub columns: Vec<Ident>,
    /// Of a partitioned table, where nothing can be built CONCURRENTLY or NOT VALID.
    pub partitioned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacyKey {
    UniqueConstraint,
    UniqueIndex,
    ForeignKey { references: QualifiedName, validated: bool },
}

impl DropLegacyKey {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("drop {} of {}: its successor keeps tenants apart", self.name, self.table)
    }

    /// Before undoing: the groups of rows that the old key could no longer hold, one row each (the values as a row's
    /// text, and how many rows share them). Nothing to ask for a foreign key, which its successor implies.
    #[must_use]
    pub fn restorable_check(&self) -> Option<Sql> {
        if matches!(self.kind, LegacyKey::ForeignKey { .. }) {
            return None;
        }
        let columns = sql!("{}", join(self.columns.iter().map(|column| sql!("t.{}", column)), ", "));
        let given = self.columns.iter().map(|column| sql!("t.{} IS NOT NULL", column));
        let condition = match self.definition.as_str().contains("NULLS NOT DISTINCT") {
            true => sql!("true"),
            false => sql!("{}", join(given, " AND ")),
        };
        Some(sql!(
            "SELECT ROW({})::text, count(*) FROM {} AS t WHERE {} GROUP BY {} HAVING count(*) > 1 LIMIT 100",
            columns,
            self.table,
            condition,
            columns
        ))
    }

    pub(super) fn forward(&self) -> Script {
        let drop = match &self.kind {
            LegacyKey::UniqueIndex => sql!("DROP INDEX {}", self.index()),
            _ => sql!("ALTER TABLE {} DROP CONSTRAINT {}", self.table, self.name),
        };
        Script::transaction(LockMode::AccessExclusive, self.locked(), vec![self.remember(), drop])
    }

    /// Fails, harmlessly, when rows written since collide: see [`Self::restorable_check`].
    pub(super) fn inverse(&self) -> Script {
        let add = sql!("ALTER TABLE {} ADD CONSTRAINT {} {}", self.table, self.name, self.definition);
        let restore = |statements: Vec<Sql>| {
            let statements = statements.into_iter().chain([self.recall()]).collect();
            Script::autocommit(LockMode::ShareRowExclusive, self.locked(), statements)
        };
        match &self.kind {
            LegacyKey::ForeignKey { .. } if self.partitioned => {
                Script::long(LockMode::ShareRowExclusive, self.locked(), vec![add, self.recall()])
            }
            LegacyKey::UniqueConstraint if self.partitioned => {
                Script::long(LockMode::AccessExclusive, self.locked(), vec![add, self.recall()])
            }
            LegacyKey::UniqueIndex if self.partitioned => Script::long(
                LockMode::Share,
                self.locked(),
                vec![whole_tree(&self.definition), self.recall()],
            ),
            LegacyKey::ForeignKey { validated, .. } => {
                let unproven = sql!(
                    "ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID",
                    self.table,
                    self.name,
                    proven(&self.definition)
                );
                let mut statements = vec![absent(&self.table, &self.name, &unproven)];
                if *validated {
                    statements.push(sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.table, self.name));
                }
                restore(statements)
            }
            LegacyKey::UniqueConstraint => restore(vec![
                sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", self.table, self.name),
                patient(),
                sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", self.index()),
                sql!(
                    "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} {}",
                    self.name,
                    self.table,
                    self.index_columns()
                ),
                hurried(),
                sql!(
                    "ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}{}",
                    self.table,
                    self.name,
                    self.name,
                    self.deferral()
                ),
            ]),
            LegacyKey::UniqueIndex => restore(vec![
                patient(),
                sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", self.index()),
                concurrently(&self.definition),
                hurried(),
            ]),
        }
    }

    fn index(&self) -> QualifiedName {
        QualifiedName::new(self.table.schema.clone(), self.name.clone())
    }

    fn locked(&self) -> Vec<QualifiedName> {
        match &self.kind {
            LegacyKey::ForeignKey { references, .. } if *references != self.table => {
                vec![self.table.clone(), references.clone()]
            }
            _ => vec![self.table.clone()],
        }
    }

    /// Columns, INCLUDE and NULLS NOT DISTINCT of `pg_get_constraintdef`, in the order CREATE INDEX wants them.
    fn index_columns(&self) -> Sql {
        let definition = self.definition.as_str();
        let nulls = if definition.starts_with("UNIQUE NULLS NOT DISTINCT") {
            sql!(" NULLS NOT DISTINCT")
        } else {
            sql!("")
        };
        let lists = outer_lists(definition);
        let include = match lists.get(1) {
            Some(list) => sql!(" INCLUDE ({})", Sql::trusted(*list)),
            None => sql!(""),
        };
        sql!("({}){}{}", join(&self.columns, ", "), include, nulls)
    }

    fn deferral(&self) -> Sql {
        let definition = self.definition.as_str();
        if definition.ends_with(" DEFERRABLE INITIALLY DEFERRED") {
            sql!(" DEFERRABLE INITIALLY DEFERRED")
        } else if definition.ends_with(" DEFERRABLE") {
            sql!(" DEFERRABLE")
        } else {
            sql!("")
        }
    }

    /// Notes, at the last moment, what the definition leaves out: comments, storage, CLUSTER, REPLICA IDENTITY.
    fn remember(&self) -> Sql {
        let account = Literal::text(self.account());
        match &self.kind {
            LegacyKey::ForeignKey { .. } => sql!(
                "INSERT INTO bastide.remembered (step, detail)
SELECT {}, jsonb_build_object('comment', obj_description(oid, 'pg_constraint'))
FROM pg_constraint WHERE conrelid = {}::regclass AND conname = {}
ON CONFLICT (step) DO UPDATE SET detail = excluded.detail",
                account,
                Literal::text(sql!("{}", self.table).as_str()),
                Literal::text(self.name.as_str())
            ),
            _ => sql!(
                "INSERT INTO bastide.remembered (step, detail)
SELECT {}, jsonb_build_object('comment', obj_description(k.oid, 'pg_constraint'), 'index_comment', obj_description(c.oid, 'pg_class'),
    'options', array_to_string(c.reloptions, ', '), 'tablespace', s.spcname, 'cluster', i.indisclustered, 'replica', i.indisreplident)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype = 'u'
WHERE c.oid = {}::regclass
ON CONFLICT (step) DO UPDATE SET detail = excluded.detail",
                account,
                Literal::text(sql!("{}", self.index()).as_str())
            ),
        }
    }

    fn recall(&self) -> Sql {
        let comment = sql!(
            "    IF known->>'comment' IS NOT NULL THEN
        EXECUTE format('COMMENT ON CONSTRAINT %s ON %s IS %L', {}, {}, known->>'comment');
    END IF;
",
            Literal::text(sql!("{}", self.name).as_str()),
            Literal::text(sql!("{}", self.table).as_str())
        );
        let index = Literal::text(sql!("{}", self.index()).as_str());
        let rest = match &self.kind {
            LegacyKey::ForeignKey { .. } => sql!(""),
            _ => sql!(
                "    IF known->>'index_comment' IS NOT NULL THEN
        EXECUTE format('COMMENT ON INDEX %s IS %L', {}, known->>'index_comment');
    END IF;
    IF known->>'options' IS NOT NULL THEN
        EXECUTE format('ALTER INDEX %s SET (%s)', {}, known->>'options');
    END IF;
    IF known->>'tablespace' IS NOT NULL THEN
        EXECUTE format('ALTER INDEX %s SET TABLESPACE %I', {}, known->>'tablespace');
    END IF;
    IF (known->>'cluster')::boolean THEN
        ALTER TABLE {} CLUSTER ON {};
    END IF;
    IF (known->>'replica')::boolean THEN
        ALTER TABLE {} REPLICA IDENTITY USING INDEX {};
    END IF;
",
                index,
                index,
                index,
                self.table,
                self.name,
                self.table,
                self.name
            ),
        };
        block(sql!(
            "DECLARE
    known jsonb := (SELECT detail FROM bastide.remembered WHERE step = {});
BEGIN
{}{}END",
            Literal::text(self.account()),
            comment,
            rest
        ))
    }

    fn account(&self) -> String {
        format!("drop_legacy_key:{}", self.subject())
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        for member in super::family::family(catalog, &self.table) {
            let Some(table) = catalog.tables.get_mut(&member) else { continue };
            let own = member == self.table;
            match &self.kind {
                LegacyKey::ForeignKey { references, .. } => table.foreign_keys.retain(|key| {
                    let copy =
                        key.inherited && key.references == *references && key.definition == self.definition;
                    if own { key.name != self.name } else { !(self.partitioned && copy) }
                }),
                _ => table.keys.retain(|key| {
                    // A partition's copy has a name of its own.
                    let copy = self.partitioned && key.kind != KeyKind::Primary && key.columns == self.columns;
                    if own { key.name != self.name } else { !copy }
                }),
            }
        }
    }
}

fn concurrently(definition: &Sql) -> Sql {
    let text = definition.as_str();
    match text.strip_prefix("CREATE UNIQUE INDEX ") {
        Some(rest) => sql!("CREATE UNIQUE INDEX CONCURRENTLY {}", Sql::trusted(rest)),
        None => definition.clone(),
    }
}

/// `pg_get_indexdef` prints ON ONLY for a partitioned table, which would leave its leaves without one.
fn whole_tree(definition: &Sql) -> Sql {
    Sql::trusted(definition.as_str().replacen(" ON ONLY ", " ON ", 1))
}

/// What stands in each outermost pair of parentheses, quoted names respected.
fn outer_lists(text: &str) -> Vec<&str> {
    let (mut lists, mut depth, mut quoted, mut from) = (Vec::new(), 0_u32, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => {
                depth += 1;
                if depth == 1 {
                    from = at + 1;
                }
            }
            ')' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    lists.push(&text[from..at]);
                }
            }
            _ => {}
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{Trial, ident, idents, name, show},
    };

    fn step(table: &str, key: &str, kind: LegacyKey, definition: &str, columns: &[&str]) -> DropLegacyKey {
        DropLegacyKey {
            table: name(table),
            name: ident(key),
            kind,
            definition: Sql::trusted(definition),
            columns: idents(columns),
            partitioned: false,
        }
    }

    #[test]
    fn scripts_of_a_unique_constraint() {
        let key = step(
            "public.users",
            "users_mail",
            LegacyKey::UniqueConstraint,
            "UNIQUE NULLS NOT DISTINCT (\"Mail\") INCLUDE (id) DEFERRABLE",
            &["Mail"],
        );
        insta::assert_snapshot!(key.restorable_check().unwrap(), @r#"SELECT ROW(t."Mail")::text, count(*) FROM "public"."users" AS t WHERE true GROUP BY t."Mail" HAVING count(*) > 1 LIMIT 100"#);
        let step = Step::DropLegacyKey(key);
        insta::assert_snapshot!(step.id(), @"drop_legacy_key:public.users.users_mail");
        insta::assert_snapshot!(step.describe(), @"drop users_mail of public.users: its successor keeps tenants apart");
        insta::assert_snapshot!(show(&step.forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.users
        INSERT INTO bastide.remembered (step, detail)
        SELECT 'drop_legacy_key:public.users.users_mail', jsonb_build_object('comment', obj_description(k.oid, 'pg_constraint'), 'index_comment', obj_description(c.oid, 'pg_class'),
            'options', array_to_string(c.reloptions, ', '), 'tablespace', s.spcname, 'cluster', i.indisclustered, 'replica', i.indisreplident)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
        LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype = 'u'
        WHERE c.oid = '"public"."users_mail"'::regclass
        ON CONFLICT (step) DO UPDATE SET detail = excluded.detail;
        ALTER TABLE "public"."users" DROP CONSTRAINT "users_mail";
        "#);
        insta::assert_snapshot!(show(&step.inverse()), @r#"
        -- Autocommit
        -- SHARE ROW EXCLUSIVE on public.users
        ALTER TABLE "public"."users" DROP CONSTRAINT IF EXISTS "users_mail";
        SET lock_timeout = '10s';
        DROP INDEX CONCURRENTLY IF EXISTS "public"."users_mail";
        CREATE UNIQUE INDEX CONCURRENTLY "users_mail" ON "public"."users" ("Mail") INCLUDE (id) NULLS NOT DISTINCT;
        SET lock_timeout = '50ms';
        ALTER TABLE "public"."users" ADD CONSTRAINT "users_mail" UNIQUE USING INDEX "users_mail" DEFERRABLE;
        DO $bastide$DECLARE
            known jsonb := (SELECT detail FROM bastide.remembered WHERE step = 'drop_legacy_key:public.users.users_mail');
        BEGIN
            IF known->>'comment' IS NOT NULL THEN
                EXECUTE format('COMMENT ON CONSTRAINT %s ON %s IS %L', '"users_mail"', '"public"."users"', known->>'comment');
            END IF;
            IF known->>'index_comment' IS NOT NULL THEN
                EXECUTE format('COMMENT ON INDEX %s IS %L', '"public"."users_mail"', known->>'index_comment');
            END IF;
            IF known->>'options' IS NOT NULL THEN
                EXECUTE format('ALTER INDEX %s SET (%s)', '"public"."users_mail"', known->>'options');
            END IF;
            IF known->>'tablespace' IS NOT NULL THEN
                EXECUTE format('ALTER INDEX %s SET TABLESPACE %I', '"public"."users_mail"', known->>'tablespace');
            END IF;
            IF (known->>'cluster')::boolean THEN
                ALTER TABLE "public"."users" CLUSTER ON "users_mail";
            END IF;
            IF (known->>'replica')::boolean THEN
                ALTER TABLE "public"."users" REPLICA IDENTITY USING INDEX "users_mail";
            END IF;
        END$bastide$;
        "#);
    }

    #[test]
    fn scripts_of_a_unique_index() {
        let definition = "CREATE UNIQUE INDEX users_mail ON public.users USING btree (mail)";
        let key = step("public.users", "users_mail", LegacyKey::UniqueIndex, definition, &["mail"]);
        insta::assert_snapshot!(key.restorable_check().unwrap(), @r#"SELECT ROW(t."mail")::text, count(*) FROM "public"."users" AS t WHERE t."mail" IS NOT NULL GROUP BY t."mail" HAVING count(*) > 1 LIMIT 100"#);
        insta::assert_snapshot!(show(&Step::DropLegacyKey(key.clone()).forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.users
        INSERT INTO bastide.remembered (step, detail)
        SELECT 'drop_legacy_key:public.users.users_mail', jsonb_build_object('comment', obj_description(k.oid, 'pg_constraint'), 'index_comment', obj_description(c.oid, 'pg_class'),
            'options', array_to_string(c.reloptions, ', '), 'tablespace', s.spcname, 'cluster', i.indisclustered, 'replica', i.indisreplident)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
        LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype = 'u'
        WHERE c.oid = '"public"."users_mail"'::regclass
        ON CONFLICT (step) DO UPDATE SET detail = excluded.detail;
        DROP INDEX "public"."users_mail";
        "#);
        insta::assert_snapshot!(show(&Step::DropLegacyKey(key).inverse()), @r#"
        -- Autocommit
        -- SHARE ROW EXCLUSIVE on public.users
        SET lock_timeout = '10s';
        DROP INDEX CONCURRENTLY IF EXISTS "public"."users_mail";
        CREATE UNIQUE INDEX CONCURRENTLY users_mail ON public.users USING btree (mail);
        SET lock_timeout = '50ms';
        DO $bastide$DECLARE
            known jsonb := (SELECT detail FROM bastide.remembered WHERE step = 'drop_legacy_key:public.users.users_mail');
        BEGIN
            IF known->>'comment' IS NOT NULL THEN
                EXECUTE format('COMMENT ON CONSTRAINT %s ON %s IS %L', '"users_mail"', '"public"."users"', known->>'comment');
            END IF;
            IF known->>'index_comment' IS NOT NULL THEN
                EXECUTE format('COMMENT ON INDEX %s IS %L', '"public"."users_mail"', known->>'index_comment');
            END IF;
            IF known->>'options' IS NOT NULL THEN
                EXECUTE format('ALTER INDEX %s SET (%s)', '"public"."users_mail"', known->>'options');
            END IF;
            IF known->>'tablespace' IS NOT NULL THEN
                EXECUTE format('ALTER INDEX %s SET TABLESPACE %I', '"public"."users_mail"', known->>'tablespace');
            END IF;
            IF (known->>'cluster')::boolean THEN
                ALTER TABLE "public"."users" CLUSTER ON "users_mail";
            END IF;
            IF (known->>'replica')::boolean THEN
                ALTER TABLE "public"."users" REPLICA IDENTITY USING INDEX "users_mail";
            END IF;
        END$bastide$;
        "#);
    }

    #[test]
    fn scripts_of_a_foreign_key() {
        let kind = LegacyKey::ForeignKey { references: name("public.shops"), validated: true };
        let key = step(
            "public.users",
            "users_shop",
            kind,
            "FOREIGN KEY (shop_id) REFERENCES public.shops(id)",
            &["shop_id"],
        );
        assert_eq!(key.restorable_check(), None);
        insta::assert_snapshot!(show(&Step::DropLegacyKey(key.clone()).forward()), @r#"
        -- Transaction
        -- ACCESS EXCLUSIVE on public.users, public.shops
        INSERT INTO bastide.remembered (step, detail)
        SELECT 'drop_legacy_key:public.users.users_shop', jsonb_build_object('comment', obj_description(oid, 'pg_constraint'))
        FROM pg_constraint WHERE conrelid = '"public"."users"'::regclass AND conname = 'users_shop'
        ON CONFLICT (step) DO UPDATE SET detail = excluded.detail;
        ALTER TABLE "public"."users" DROP CONSTRAINT "users_shop";
        "#);
        insta::assert_snapshot!(show(&Step::DropLegacyKey(key).inverse()), @r#"
        -- Autocommit
        -- SHARE ROW EXCLUSIVE on public.users, public.shops
        DO $bastide$BEGIN
            IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '"public"."users"'::regclass AND conname = 'users_shop') THEN
                ALTER TABLE "public"."users" ADD CONSTRAINT "users_shop" FOREIGN KEY (shop_id) REFERENCES public.shops(id) NOT VALID;
            END IF;
        END$bastide$;
        ALTER TABLE "public"."users" VALIDATE CONSTRAINT "users_shop";
        DO $bastide$DECLARE
            known jsonb := (SELECT detail FROM bastide.remembered WHERE step = 'drop_legacy_key:public.users.users_shop');
        BEGIN
            IF known->>'comment' IS NOT NULL THEN
                EXECUTE format('COMMENT ON CONSTRAINT %s ON %s IS %L', '"users_shop"', '"public"."users"', known->>'comment');
            END IF;
        END$bastide$;
        "#);
    }

    const SCHEMA: &str = r#"CREATE TABLE shops (id int PRIMARY KEY);
         CREATE TABLE users (id int PRIMARY KEY, "Mail (x)" text NOT NULL, login text, shop_id int, other_shop int);
         ALTER TABLE users ADD CONSTRAINT mail_key UNIQUE ("Mail (x)") INCLUDE (login) WITH (fillfactor = 70);
         ALTER TABLE users ADD CONSTRAINT soon UNIQUE (login, shop_id) DEFERRABLE INITIALLY DEFERRED;
         ALTER TABLE users CLUSTER ON mail_key;
         COMMENT ON CONSTRAINT mail_key ON users IS 'it''s one each'; COMMENT ON INDEX mail_key IS 'of the index';
         CREATE UNIQUE INDEX "Login" ON users (login DESC) NULLS NOT DISTINCT WITH (fillfactor = 80); COMMENT ON INDEX "Login" IS 'log-in';
         ALTER TABLE users ADD CONSTRAINT shop FOREIGN KEY (shop_id) REFERENCES shops ON DELETE CASCADE DEFERRABLE;
         ALTER TABLE users ADD CONSTRAINT unproven FOREIGN KEY (other_shop) REFERENCES shops NOT VALID;
         COMMENT ON CONSTRAINT shop ON users IS 'home';
         CREATE TABLE parts (id int, mail text) PARTITION BY LIST (id); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
         ALTER TABLE parts ADD CONSTRAINT parts_mail UNIQUE (id, mail); CREATE UNIQUE INDEX parts_idx ON parts (mail, id);
         ALTER TABLE parts ADD CONSTRAINT parts_shop FOREIGN KEY (id) REFERENCES shops"#;

    /// Each legacy key of the schema, as the planner would read it from the catalog.
    async fn all(trial: &mut Trial) -> Vec<DropLegacyKey> {
        let catalog = trial.catalog().await;
        let mut steps = Vec::new();
        for table in
            catalog.tables.values().filter(|table| table.kind != bastide_catalog::TableKind::Partition)
        {
            let partitioned = table.kind == bastide_catalog::TableKind::Partitioned;
            for key in &table.keys {
                let kind = match key.kind {
                    bastide_catalog::KeyKind::Primary => continue,
                    bastide_catalog::KeyKind::Unique => LegacyKey::UniqueConstraint,
                    bastide_catalog::KeyKind::UniqueIndex => LegacyKey::UniqueIndex,
                };
                let (name, definition) = (key.name.clone(), key.definition.clone());
                steps.push(DropLegacyKey {
                    table: table.name.clone(),
                    name,
                    kind,
                    definition,
                    columns: key.columns.clone(),
                    partitioned,
                });
            }
            for key in &table.foreign_keys {
                let kind =
                    LegacyKey::ForeignKey { references: key.references.clone(), validated: key.validated };
                let (name, definition) = (key.name.clone(), key.definition.clone());
                steps.push(DropLegacyKey {
                    table: table.name.clone(),
                    name,
                    kind,
                    definition,
                    columns: key.columns.clone(),
                    partitioned,
                });
            }
        }
        steps
    }

    #[tokio::test]
    async fn every_kind_of_key_comes_back_as_it_was() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        let before = trial.db.schema_dump().await;
        let steps = all(&mut trial).await;
        assert_eq!(steps.len(), 8);
        for step in steps {
            let step = Step::DropLegacyKey(step);
            trial.round(&step).await;
            trial.undo(&step).await;
            if step.inverse().mode == crate::Mode::Autocommit {
                trial.undo(&step).await;
            }
            assert_eq!(before, trial.db.schema_dump().await, "{}", step.id());
        }
    }

    #[tokio::test]
    async fn what_collides_now_is_found_before_and_refused_harmlessly() {
        let mut trial = Trial::of("integer", SCHEMA).await;
        let key = all(&mut trial).await.into_iter().find(|step| step.name == ident("mail_key")).unwrap();
        let step = Step::DropLegacyKey(key.clone());
        let check = key.restorable_check().unwrap();
        trial.forward(&step).await;
        assert_eq!(trial.db.query_rows(check.as_str()).await, Vec::<String>::new());
        trial.execute("INSERT INTO public.users VALUES (1, 'a@b', 'x'), (2, 'a@b', 'y')").await;
        assert_eq!(trial.db.query_rows(check.as_str()).await, ["(a@b)|2"]);
        let error = trial.run(&step.inverse()).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("23505"));
        trial.execute("DELETE FROM public.users WHERE id = 2").await;
        trial.undo(&step).await;
        assert_eq!(trial.refused("INSERT INTO public.users VALUES (3, 'a@b', 'z')").await, "23505");
    }
}
