//! Shapes that Bastide cannot keep apart: `rls plan` names the object, says what to do about it, and changes nothing.

use bastide_testkit::{Server, server};

use crate::bastide::Bastide;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../fixtures/legacy/refused/", $name, ".sql"))
    };
}

const ROOTED: &str = fixture!("rooted");

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
        ("composite", fixture!("composite"), "public.r", &["public.r", "no key of one column"]),
        ("nullable", fixture!("nullable"), "public.r", &["public.r", "NOT NULL"]),
        ("deferrable", fixture!("deferrable"), "public.r", &["public.r", "not deferrable"]),
        ("view", fixture!("view"), "public.r", &["public.r", "a view", "--tenant-root"]),
        ("copy", fixture!("copy"), "public.r", &["public.r", "a materialised view"]),
        ("partitioned", fixture!("partitioned"), "public.r", &["public.r", "a partitioned table"]),
        ("inherited", fixture!("inherited"), "public.tenant", &["public.tenant", "inherit"]),
        ("alone", fixture!("alone"), "public.r", &["public.r", "no table references it"]),
    ];
    for (name, change, root, words) in cases {
        refused(&server, name, change, root, words).await;
    }
}

#[tokio::test]
async fn tables() {
    let server = server().await;
    let cases: &[(&str, &str, &[&str])] = &[
        ("full", fixture!("full"), &["public.t", "1600", "--exclude-table"]),
        ("taken", fixture!("taken"), &["public.t", "rename"]),
        ("far_child", fixture!("far_child"), &["public.t1", "foreign table"]),
        ("typed", fixture!("typed"), &["public.t", "typed table"]),
        ("policy_of_app", fixture!("policy_of_app"), &["public.note", "mine", "bastide_app", "DROP POLICY"]),
        ("policy_beside_ours", fixture!("policy_beside_ours"), &["public.note", "mine", "DROP POLICY"]),
        ("always", fixture!("always"), &["public.note", "ALWAYS", "ENABLE TRIGGER g"]),
        ("rule_always", fixture!("rule_always"), &["public.note", "rule r", "ENABLE RULE r"]),
        ("rule_outside", fixture!("rule_outside"), &["public.note", "r", "DROP RULE"]),
        (
            "published",
            fixture!("published"),
            &[
                "public.t",
                "does not have a replica identity",
                "ALTER TABLE public.t REPLICA IDENTITY FULL",
                "the publication feed",
            ],
        ),
        ("published_whole", fixture!("published_whole"), &["public.t", "REPLICA IDENTITY FULL", "\"All\""]),
        (
            "published_rows",
            fixture!("published_rows"),
            &["public.t1", "WHERE expression is not part of the replica identity", "REPLICA IDENTITY FULL"],
        ),
        ("open", fixture!("open"), &["public.note", "TRUNCATE", "REVOKE"]),
    ];
    for (name, change, words) in cases {
        refused(&server, name, change, "public.tenant", words).await;
    }
}

#[tokio::test]
async fn references() {
    let server = server().await;
    let cases: &[(&str, &str, &[&str])] = &[
        ("emptied", fixture!("emptied"), &["public.t", "t_note_fkey", "ON UPDATE"]),
        ("mistaken", fixture!("mistaken"), &["public.t", "t_tenant_id_fkey1", "tenant"]),
    ];
    for (name, change, words) in cases {
        refused(&server, name, change, "public.tenant", words).await;
    }
}

#[tokio::test]
async fn names_that_are_taken() {
    let server = server().await;
    let cases: &[(&str, &str, &[&str])] = &[
        ("schema", fixture!("schema"), &["schema", "bastide", "RENAME"]),
        ("trigger", fixture!("trigger"), &["public.note", "~bastide_tenant"]),
    ];
    for (name, change, words) in cases {
        refused(&server, name, change, "public.tenant", words).await;
    }
}
