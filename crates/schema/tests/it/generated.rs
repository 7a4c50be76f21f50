//! `migrations/0001_shop`: made from what migrating the fixture for real leaves, and held against it.

use std::{collections::BTreeMap, fs, path::Path};

use bastide_sql::{Ident, QualifiedName, Sql, join, sql};
use bastide_testkit::Database;

use crate::scene::{Scene, read};

const GENERATE: &str = "BASTIDE_GENERATE";

#[tokio::test]
async fn version_one_is_what_migrating_the_shop_leaves() {
    let scene = Scene::legacy().await;
    scene.migrate().await;
    bastide_engine::finish(&scene.options.place.target, None).await.unwrap();
    let files = Files::of(&scene.db).await;
    if std::env::var_os(GENERATE).is_some() {
        files.write();
        return;
    }
    let (built, options) = scene.beside("built").await;
    bastide_schema::up(&options, Some(1), &crate::scene::quiet).await.unwrap();
    assert_eq!(read(&scene.db).await.diff(&read(&built).await), Vec::<String>::new());
    let scope = r#"SELECT schema, "table", tenant_column FROM bastide.scoped_tables ORDER BY 1, 2"#;
    assert_eq!(scene.db.query_rows(scope).await, built.query_rows(scope).await);
    // Another version's pg_dump says the same in other words.
    if scene.db.query_one_text("SHOW server_version_num").await.starts_with("15") {
        files.check();
    } else {
        println!("SKIPPED: the files are compared where PostgreSQL 15 wrote them");
    }
}

struct Files {
    texts: BTreeMap<&'static str, String>,
}

const HEAD: &str = "\
-- Version 1 of the platform's schema: what migrating fixtures/legacy/shop leaves. Row security, policies, grants
-- and tenant defaults are not in here: `isolate` says which table gets which. Generated, with `isolate` and down.sql; to do it again:
--   BASTIDE_GENERATE=1 cargo nextest run -p bastide-schema version_one

-- Functions come before the tables they read.
SET LOCAL check_function_bodies = off;
";

impl Files {
    async fn of(db: &Database) -> Self {
        let dump = db.schema_dump().await;
        let entries = entries(&dump);
        let mut leaves = Some(keys_of_partitions(db).await);
        let mut up: Vec<String> = Vec::new();
        for entry in &entries {
            if entry.kind == "FK CONSTRAINT" {
                up.extend(leaves.take().into_iter().flatten());
            }
            up.extend(entry.kept());
        }
        let up = format!("{HEAD}\n{}\n", up.join("\n\n"));
        let texts = [("up.sql", up), ("down.sql", down(&entries, db).await), ("isolate", isolate(db).await)];
        Self { texts: BTreeMap::from(texts) }
    }

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/0001_shop")
    }

    fn write(&self) {
        for (name, text) in &self.texts {
            fs::write(Self::folder().join(name), text).unwrap();
        }
    }

    fn check(&self) {
        for (name, text) in &self.texts {
            let committed = fs::read_to_string(Self::folder().join(name)).unwrap();
            assert!(
                committed == *text,
                "migrations/0001_shop/{name} is stale; its head says how to make it again"
            );
        }
    }
}

/// One object of a dump.
struct Entry<'a> {
    name: &'a str,
    kind: &'a str,
    schema: &'a str,
    body: String,
}

fn entries(dump: &str) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for line in dump.lines() {
        if let Some(head) = line.strip_prefix("-- Name: ") {
            let (name, rest) = head.split_once("; Type: ").unwrap();
            let (kind, rest) = rest.split_once("; Schema: ").unwrap();
            let schema = rest.split("; ").next().unwrap();
            entries.push(Entry { name, kind, schema, body: String::new() });
        } else if let Some(entry) = entries.last_mut() {
            entry.body.push_str(line);
            entry.body.push('\n');
        }
    }
    entries
}

impl Entry<'_> {
    fn kept(&self) -> Option<String> {
        let rendered = ["POLICY", "ROW SECURITY", "ACL", "EVENT TRIGGER"].contains(&self.kind);
        if rendered || (self.kind == "SCHEMA" && self.name == "public") {
            return None;
        }
        let out = |line: &&str| {
            (line.starts_with("ALTER ") && line.contains(" OWNER TO "))
                || line.ends_with(" FORCE ROW LEVEL SECURITY;")
                || line.starts_with("SET default_")
                || *line == "--"
                || line.starts_with("-- PostgreSQL database dump")
        };
        let lines: Vec<&str> = self.body.lines().filter(|line| !out(line)).collect();
        let text = lines.join("\n").replace(" DEFAULT (bastide.current_tenant())::uuid", "");
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    fn qualified(&self) -> QualifiedName {
        let ident = |text: &str| Ident::new(text).unwrap();
        QualifiedName::new(ident(self.schema), ident(self.name))
    }
}

/// Those with names of their own: a dump leaves them out, and the partitioned table's then makes others. Made first, they are adopted.
async fn keys_of_partitions(db: &Database) -> Vec<String> {
    db.query_rows(
        "SET search_path = pg_catalog; SELECT format(E'ALTER TABLE %I.%I\\n    ADD CONSTRAINT %I %s;', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid))
         FROM pg_constraint k JOIN pg_constraint above ON above.oid = k.conparentid JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE k.contype = 'f' AND k.conname <> above.conname AND c.relispartition AND c.oid <> above.conrelid
         ORDER BY 1",
    )
    .await
}

async fn down(entries: &[Entry<'_>], db: &Database) -> String {
    let partitions = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace";
    let partitions = db.query_rows(partitions).await;
    let of = |kind: &'static str| entries.iter().filter(move |entry| entry.kind == kind);
    let mut drops: Vec<Sql> = Vec::new();
    for (kind, word) in [("VIEW", sql!("VIEW")), ("MATERIALIZED VIEW", sql!("MATERIALIZED VIEW"))] {
        drops.extend(of(kind).map(|entry| sql!("DROP {} {};", word, entry.qualified())));
    }
    let tables = of("TABLE").map(Entry::qualified).filter(|name| !partitions.contains(&name.to_string()));
    // At once: some reference each other.
    drops.push(sql!("DROP TABLE\n    {};", join(tables, ",\n    ")));
    drops.extend(of("FUNCTION").map(|entry| {
        sql!("DROP FUNCTION {}.{};", Ident::new(entry.schema).unwrap(), Sql::trusted(entry.name))
    }));
    drops.extend(of("TYPE").map(|entry| sql!("DROP TYPE {};", entry.qualified())));
    let schemas = of("SCHEMA").filter(|entry| entry.name != "public");
    drops.extend(schemas.map(|entry| sql!("DROP SCHEMA {};", Ident::new(entry.name).unwrap())));
    let head = "-- Undoes up.sql, with every row. Generated, as that says.";
    sql!("{}\n\n{}\n", Sql::trusted(head), join(drops, "\n")).to_string()
}

async fn isolate(db: &Database) -> String {
    let lines = db
        .query_rows(
            "SELECT concat_ws(' ', format('%I.%I', n.nspname, c.relname), CASE
                 WHEN s.tenant_column = 'id' AND c.relname = 'merchants' THEN 'root id'
                 WHEN s.tenant_column IS NOT NULL THEN s.tenant_column || ' legacy keys'
                 WHEN has_table_privilege('bastide_app', c.oid, 'SELECT') THEN 'shared read' ELSE 'closed' END)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN bastide.scope s ON s.schema = n.nspname AND s.\"table\" = c.relname
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bastide', 'pg_toast')
             ORDER BY c.relname <> 'merchants', n.nspname, c.relname",
        )
        .await;
    format!(
        "# How each table of version 1 is kept apart; docs/schema.md says what the words do. Generated, as up.sql says.\n{}\n",
        lines.join("\n")
    )
}
