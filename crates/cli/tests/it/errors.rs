//! What goes wrong before anything happens: a sentence, the right exit code, nothing changed.

use bastide_testkit::server;

use crate::bastide::Bastide;

const ROOTED: &str = "CREATE TABLE tenant (id integer PRIMARY KEY, name text NOT NULL);
    CREATE TABLE note (id integer PRIMARY KEY, tenant_id integer NOT NULL REFERENCES tenant, body text);
    INSERT INTO tenant VALUES (1, 'a'), (2, 'b'); INSERT INTO note SELECT g, 1 + g % 2, 'x' FROM generate_series(1, 50) g;";

const PLAN: [&str; 5] = ["rls", "plan", "--accept-defaults", "--tenant-root", "public.tenant"];

#[track_caller]
fn says(bastide: &Bastide, arguments: &[&str], code: i32, words: &[&str]) {
    let ran = bastide.run(arguments).expect(code);
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is missing in: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("secret"), "a password was printed: {}", ran.stderr);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(ROOTED).await;
    db.execute("CREATE ROLE weak LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA public TO weak").await;
    let dump = db.schema_dump().await;
    let on = |url: &str| Bastide::on(url.to_owned());
    says(&on("postgresql//nonsense"), &PLAN, 2, &["postgresql"]);
    says(&on("postgresql://u:secret@127.0.0.1:1/shop"), &PLAN, 3, &["127.0.0.1"]);
    says(&on(&db.url_as("weak", "wrong-secret")), &PLAN, 3, &["weak", "password"]);
    says(&on(&server.existing("missing").url()), &PLAN, 3, &["missing"]);
    // Too few rights, and which one is missing.
    let migrate = ["rls", "migrate", "--yes", "--accept-defaults", "--tenant-root", "public.tenant"];
    says(&on(&db.url_as("weak", "secret")), &migrate, 3, &["weak", "SUPERUSER"]);
    assert_eq!(db.schema_dump().await, dump);
}

#[tokio::test]
async fn arguments_that_name_nothing_say_what_was_expected() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(ROOTED).await;
    let bastide = Bastide::on(db.url());
    says(&bastide, &["rls", "plan"], 2, &["--tenant-root", "--new-tenant-root"]);
    says(&bastide, &["rls", "plan", "--tenant-root", "tenant"], 2, &["public.tenant"]);
    says(
        &bastide,
        &["rls", "plan", "--tenant-root", "public.tennant"],
        2,
        &["public.tennant", "public.tenant"],
    );
    says(&bastide, &["rls", "migrate", "--plan", "/nowhere/plan.toml"], 2, &["/nowhere/plan.toml"]);
    says(&bastide, &["rls", "status"], 2, &["no run", "rls migrate"]);
    says(&bastide, &["rls", "rollback", "--yes"], 2, &["no run"]);
    // Without a terminal to ask at, and without --yes.
    says(
        &bastide,
        &["rls", "migrate", "--accept-defaults", "--tenant-root", "public.tenant"],
        2,
        &["nothing was changed", "--yes"],
    );
}

#[tokio::test]
async fn a_stale_plan_says_what_changed() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(ROOTED).await;
    let bastide = Bastide::on(db.url());
    bastide.run(&PLAN).expect(0);
    let plan = bastide.path().join("plan.toml");
    // Rows are no change.
    db.execute("INSERT INTO note VALUES (100, 1, 'new')").await;
    bastide.run(&["rls", "migrate", "--dry-run", "--plan", plan.to_str().unwrap()]).expect(0);
    db.execute("ALTER TABLE note ADD COLUMN late text").await;
    let dump = db.schema_dump().await;
    says(
        &bastide,
        &["rls", "migrate", "--yes", "--plan", plan.to_str().unwrap()],
        2,
        &["public.note", "rls plan"],
    );
    assert_eq!(db.schema_dump().await, dump);
}

#[tokio::test]
async fn a_second_run_at_the_same_time_is_told_who_has_the_lock() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(ROOTED).await;
    let target = bastide_connect::Target::parse(&db.url()).unwrap();
    let guard = bastide_engine::MigrationGuard::acquire(&target).await.unwrap();
    let bastide = Bastide::on(db.url());
    let migrate = ["rls", "migrate", "--yes", "--accept-defaults", "--tenant-root", "public.tenant"];
    says(&bastide, &migrate, 5, &["another", "lock"]);
    drop(guard);
}

#[tokio::test]
async fn dry_run_prints_what_would_run_and_runs_nothing() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(ROOTED).await;
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let ran = bastide
        .run(&["rls", "migrate", "--dry-run", "--accept-defaults", "--tenant-root", "public.tenant"])
        .expect(0);
    assert!(
        ran.stdout.contains("CREATE POLICY") && ran.stdout.contains("FORCE ROW LEVEL SECURITY"),
        "{}",
        ran.stdout
    );
    assert_eq!(db.schema_dump().await, dump);
    assert_eq!(
        db.query_one_text("SELECT count(*)::text FROM pg_namespace WHERE nspname = 'bastide'").await,
        "0"
    );
}

/// `| head` closes the pipe early; a run must not die of what it says.
#[test]
fn nobody_has_to_read_on() {
    let bastide = Bastide::on("postgresql://u@127.0.0.1:1/shop".to_owned());
    for (arguments, code) in [(["completions", "bash"].as_slice(), 0), (&["rls", "status"], 3)] {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = bastide.command();
        command.args(arguments).stdout(writer.try_clone().unwrap()).stderr(writer);
        drop(reader);
        assert_eq!(command.status().unwrap().code(), Some(code), "{arguments:?}");
    }
}

/// Every edit is told from what was reviewed, by its line, before anything changes.
#[tokio::test]
async fn a_plan_edited_into_nonsense_is_refused_by_the_line() {
    let server = server().await;
    let db = server.database("shop").await;
    db.execute(ROOTED).await;
    let bastide = Bastide::on(db.url());
    bastide.run(&PLAN).expect(0);
    let dump = db.schema_dump().await;
    let file = bastide.path().join("plan.toml");
    let plan = std::fs::read_to_string(&file).unwrap();
    let migrate = ["rls", "migrate", "--yes", "--plan", file.to_str().unwrap()];
    let refused = |from: &str, to: &str, words: &[&str]| {
        assert!(plan.contains(from), "{from:?} is missing in: {plan}");
        std::fs::write(&file, plan.replacen(from, to, 1)).unwrap();
        says(&bastide, &migrate, 2, words);
    };
    let note = "name = \"public.note\"";
    refused(note, "name = \"public.nope\"", &["line", "no table public.nope", "rls plan"]);
    refused(note, "name = \"public.tenant\"", &["line", "public.tenant is decided twice"]);
    refused("class = \"scoped\"", "class = \"shared\"", &["line", "is shared by", "put the line back"]);
    refused("[[step]]", "[[step]]\nid = \"x\"\n[[step]]", &["written with", "rls plan"]);
    refused("close_table:public.note", "close_table:public.nose", &["close_table:public.note", "rls plan"]);
    refused("tenant_root = \"public.tenant\"", "tenant_root = \"public.note\"", &["public.note"]);
    let half = &plan[..plan.len() / 2];
    refused(&plan, half, &["cut short", "rls plan"]);
    // Planning again would lose what was answered: it says so rather than writing over it.
    says(&bastide, &PLAN, 2, &["plan.toml was kept", "remove it"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), half);
    refused(&plan, "", &["plan.toml"]);
    // References declared in a circle are no nonsense; one that leads from a row to itself is.
    let circle = "[config.declared]\n[[config.declared.reference]]\ntable = \"public.note\"\ncolumns = [\"id\"]\nreferences = \"public.note\"\nreferenced_columns = [\"id\"]\n\n[root]";
    refused("[root]", circle, &["public.note would reference itself"]);
    assert_eq!(db.schema_dump().await, dump);
    std::fs::write(&file, &plan).unwrap();
    bastide.run(&migrate).expect(0);
}
