//! Shapes that Bastide cannot keep apart: `rls plan` names the object, says what to do about it, and changes nothing.

use bastide_testkit::{Server, server};

use crate::bastide::Bastide;

const ROOTED: &str = "CREATE TABLE tenant (id integer PRIMARY KEY, name text NOT NULL);
    CREATE TABLE note (id integer PRIMARY KEY, tenant_id integer REFERENCES tenant, body text);
    INSERT INTO tenant VALUES (1, 'a'), (2, 'b'); INSERT INTO note SELECT g, 1 + g % 2, 'x' FROM generate_series(1, 20) g;";

/// What is said contains each word; the first names the object.
async fn refused(server: &Server, name: &str, change: &str, root: &str, words: &[&str]) {
    let db = server.database(name).await;
    db.execute(ROOTED).await;
    db.execute(change).await;
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let ran = bastide.run(&["rls", "plan", "--accept-defaults", "--tenant-root", root]);
    assert_eq!(ran.code, 2, "{name}: {}\n{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{name}: {word:?} is missing in: {}", ran.stderr);
    }
    assert_eq!(db.schema_dump().await, dump, "{name}: nothing changed");
    assert!(!bastide.path().join("plan.toml").exists(), "{name}: no plan was written");
}

#[tokio::test]
async fn roots() {
    let server = server().await;
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "composite",
            "CREATE TABLE r (a int, b int, PRIMARY KEY (a, b))",
            "public.r",
            &["public.r", "no key of one column"],
        ),
        ("nullable", "CREATE TABLE r (a int UNIQUE)", "public.r", &["public.r", "NOT NULL"]),
        (
            "deferrable",
            "CREATE TABLE r (a int PRIMARY KEY DEFERRABLE)",
            "public.r",
            &["public.r", "not deferrable"],
        ),
        (
            "view",
            "CREATE VIEW r AS SELECT * FROM tenant",
            "public.r",
            &["public.r", "a view", "--tenant-root"],
        ),
        (
            "copy",
            "CREATE MATERIALIZED VIEW r AS SELECT * FROM tenant",
            "public.r",
            &["public.r", "a materialised view"],
        ),
        (
            "partitioned",
            "CREATE TABLE r (a int PRIMARY KEY) PARTITION BY HASH (a)",
            "public.r",
            &["public.r", "a partitioned table"],
        ),
        ("inherited", "CREATE TABLE r () INHERITS (tenant)", "public.tenant", &["public.tenant", "inherit"]),
        ("alone", "CREATE TABLE r (a int PRIMARY KEY)", "public.r", &["public.r", "no table references it"]),
    ];
    for (name, change, root, words) in cases {
        refused(&server, name, change, root, words).await;
    }
}

#[tokio::test]
async fn tables() {
    let server = server().await;
    let wide = "DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE t (id int PRIMARY KEY, note int REFERENCES note, ' || string_agg('c' || g || ' bool', ', ') || ')' FROM generate_series(1, 1598) g); END $$";
    let cases: &[(&str, &str, &[&str])] = &[
        ("full", wide, &["public.t", "1600", "--exclude-table"]),
        ("taken", "CREATE TABLE t (note int REFERENCES note, tenant_id text, bastide_tenant_id text)", &["public.t", "rename"]),
        (
            "far_child",
            "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE TABLE t (note int REFERENCES note); CREATE FOREIGN TABLE t1 () INHERITS (t) SERVER s",
            &["public.t1", "foreign table"],
        ),
        ("typed", "CREATE TYPE k AS (note int); CREATE TABLE t OF k; ALTER TABLE t ADD FOREIGN KEY (note) REFERENCES note", &["public.t", "typed table"]),
        ("policy_of_app", "CREATE ROLE bastide_app LOGIN; CREATE POLICY mine ON note TO bastide_app USING (true)", &["public.note", "mine", "bastide_app", "DROP POLICY"]),
        ("policy_beside_ours", "CREATE POLICY bastide_tenant ON note USING (true); CREATE POLICY mine ON note USING (true)", &["public.note", "mine", "DROP POLICY"]),
        (
            "always",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER g BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION f();
             ALTER TABLE note ENABLE ALWAYS TRIGGER g",
            &["public.note", "ALWAYS", "ENABLE TRIGGER g"],
        ),
        ("rule_always", "CREATE RULE r AS ON UPDATE TO note DO ALSO NOTIFY n; ALTER TABLE note ENABLE ALWAYS RULE r", &["public.note", "rule r", "ENABLE RULE r"]),
        ("rule_outside", "CREATE TABLE log (a int); CREATE RULE r AS ON UPDATE TO note DO ALSO INSERT INTO log VALUES (NEW.id)", &["public.note", "r", "DROP RULE"]),
        (
            "published",
            "CREATE TABLE t (note int REFERENCES note); CREATE PUBLICATION feed FOR TABLE t; CREATE PUBLICATION other FOR TABLE note",
            &["public.t", "does not have a replica identity", "ALTER TABLE public.t REPLICA IDENTITY FULL", "the publication feed"],
        ),
        (
            "published_whole",
            "CREATE TABLE t (id int PRIMARY KEY, note int REFERENCES note); ALTER TABLE t REPLICA IDENTITY NOTHING; CREATE PUBLICATION \"All\" FOR ALL TABLES",
            &["public.t", "REPLICA IDENTITY FULL", "\"All\""],
        ),
        (
            "published_rows",
            "CREATE TABLE t (id int PRIMARY KEY, note int REFERENCES note) PARTITION BY HASH (id); CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0);
             CREATE PUBLICATION feed FOR TABLE t WHERE (note > 1) WITH (publish_via_partition_root = true)",
            &["public.t1", "WHERE expression is not part of the replica identity", "REPLICA IDENTITY FULL"],
        ),
        ("open", "GRANT TRUNCATE ON note TO PUBLIC", &["public.note", "TRUNCATE", "REVOKE"]),
    ];
    for (name, change, words) in cases {
        refused(&server, name, change, "public.tenant", words).await;
    }
}

#[tokio::test]
async fn references() {
    let server = server().await;
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "emptied",
            "CREATE TABLE t (note int REFERENCES note ON UPDATE SET NULL)",
            &["public.t", "t_note_fkey", "ON UPDATE"],
        ),
        (
            "mistaken",
            "CREATE TABLE other (id int, tenant int REFERENCES tenant, PRIMARY KEY (id)); CREATE TABLE t (tenant_id int REFERENCES tenant, FOREIGN KEY (tenant_id) REFERENCES other (id))",
            &["public.t", "t_tenant_id_fkey1", "tenant"],
        ),
    ];
    for (name, change, words) in cases {
        refused(&server, name, change, "public.tenant", words).await;
    }
}

#[tokio::test]
async fn names_that_are_taken() {
    let server = server().await;
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "schema",
            "CREATE SCHEMA bastide; CREATE TABLE bastide.mine (a int)",
            &["schema", "bastide", "RENAME"],
        ),
        (
            "trigger",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER \"~bastide_tenant\" BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION f()",
            &["public.note", "~bastide_tenant"],
        ),
    ];
    for (name, change, words) in cases {
        refused(&server, name, change, "public.tenant", words).await;
    }
}
