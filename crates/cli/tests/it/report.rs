//! A run told in every form, in the states it goes through; and its log.

use bastide_testkit::{Database, Schema, Server};
use serde_json::Value;

use crate::bastide::Bastide;

/// Tables with names that mean something to Markdown and to HTML, and a password that must be nowhere.
const SHOP: &str = r#"
CREATE TABLE merchants (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE "a|b`<i>" (id int PRIMARY KEY, merchant_id int REFERENCES merchants);
CREATE TABLE orders (id int PRIMARY KEY, thing_id int NOT NULL REFERENCES "a|b`<i>");
INSERT INTO merchants VALUES (1, 'one'), (2, 'two');
INSERT INTO "a|b`<i>" SELECT i, CASE WHEN i % 9 <> 0 THEN 1 + i % 2 END FROM generate_series(1, 200) i;
INSERT INTO orders SELECT i, i % 200 + 1 FROM generate_series(1, 1000) i;
CREATE ROLE migrator SUPERUSER LOGIN PASSWORD 'hunter2-owner';
"#;

const PASSWORDS: [&str; 2] = ["hunter2-owner", "hunter2-app"];
const FORMS: [&str; 4] = ["text", "markdown", "html", "json"];

async fn shop() -> (Server, Database, Bastide) {
    let server = bastide_testkit::server().await;
    let db = server.database("shop").await;
    db.execute(SHOP).await;
    let bastide = Bastide::on(db.url_as("migrator", PASSWORDS[0]));
    (server, db, bastide)
}

fn schema() -> Schema {
    Schema::parse(include_str!("../../../../docs/report.schema.json"))
}

const PLANNED: [&str; 4] = ["--yes", "--accept-defaults", "--tenant-root", "public.merchants"];

#[tokio::test]
async fn a_run_is_told_in_every_form_and_state() {
    let (_server, _db, bastide) = shop().await;
    let schema = schema();
    let steps: [(&[&str], &str); 6] = [
        (&["rls", "migrate", "--no-backup", "--i-have-a-backup", "--until", "assignment"], "upgraded"),
        (&["rls", "resume"], "pending_cutover"),
        (&["rls", "rollback", "--to", "policies", "--yes"], "stopped"),
        (&["rls", "resume"], "pending_cutover"),
        (&["rls", "cutover", "--watch", "0", "--in-use", "--yes"], "cut_over"),
        (&["rls", "rollback", "--yes"], "rolled_back"),
    ];
    for (command, state) in steps {
        let mut run = bastide.command();
        run.args(command).env("BASTIDE_APP_PASSWORD", PASSWORDS[1]);
        if command[1] == "migrate" {
            run.args(PLANNED);
        }
        crate::bastide::Ran::of(run.output().unwrap()).expect(0);
        let document = bastide.run(&["rls", "report", "--format", "json"]).expect(0).json();
        assert_eq!(schema.complaints(&document), Vec::<String>::new(), "{state}");
        assert_eq!(document["run"]["state"], state);
        assert_eq!(document["format"], 1);
        let done = document["steps"].as_array().unwrap();
        assert!(done.iter().any(|step| step["started_at"].is_string()), "{state}");
        for form in FORMS {
            let told = bastide.run(&["rls", "report", "--as", form]).expect(0).stdout;
            for password in PASSWORDS {
                assert!(!told.contains(password), "{form} of {state} tells a password");
            }
            match form {
                "html" => {
                    assert!(told.contains("<svg class=\"timeline\"") && !told.contains("<script"));
                    assert!(told.contains("a|b`&lt;i&gt;") && !told.contains("<i>"), "{state}");
                    assert!(told.contains(">preflight</text>"), "phases without steps are drawn, too");
                }
                "markdown" => {
                    assert!(
                        told.contains("<code>public.&#34;a&#124;b&#96;&#60;i&#62;&#34;</code>"),
                        "{told}"
                    );
                }
                "json" => assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["run"]["state"], state),
                _ => assert!(told.contains("the longest steps"), "{told}"),
            }
        }
    }
}

#[tokio::test]
async fn the_form_follows_from_the_name_of_the_file() {
    let (_server, _db, bastide) = shop().await;
    bastide.run(&[&["rls", "migrate", "--no-backup", "--i-have-a-backup"][..], &PLANNED].concat()).expect(0);
    let file = |name: &str| bastide.path().join(name).to_str().unwrap().to_owned();
    for (name, begins) in [
        ("r.md", "# Isolation report: shop"),
        ("r.html", "<!DOCTYPE html>"),
        ("r.json", "{"),
        ("r.txt", "Pending"),
    ] {
        let ran = bastide.run(&["rls", "report", "-o", &file(name)]).expect(0);
        assert!(ran.stdout.contains("pending cutover") && ran.stderr.contains(name), "{}", ran.stderr);
        let text = std::fs::read_to_string(file(name)).unwrap();
        assert!(text.starts_with(begins), "{name}: {text}");
    }
    let ran = bastide.run(&["rls", "report", "-o", &file("report")]).expect(2);
    assert!(ran.stderr.contains("--as text|markdown|html|json"), "{}", ran.stderr);
    bastide.run(&["rls", "report", "-o", &file("report"), "--as", "markdown"]).expect(0);
    assert!(std::fs::read_to_string(file("report")).unwrap().starts_with("# Isolation"));
}

/// Every line, as it was logged.
fn log(stderr: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stderr.lines().map(parse).collect()
}

fn steps(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["target"] == "bastide::step").collect()
}

#[tokio::test]
async fn each_step_is_one_line_of_the_log_there_and_back() {
    let (_server, _db, bastide) = shop().await;
    let json = ["--log-format", "json", "--format", "json"];
    let migrate = [&["rls", "migrate", "--no-backup", "--i-have-a-backup"][..], &PLANNED, &json].concat();
    let ran = bastide.run(&migrate).expect(0);
    let lines = log(&ran.stderr);
    let forward = steps(&lines);
    let document = bastide.run(&["rls", "report", "--format", "json"]).expect(0).json();
    let journal: Vec<&Value> =
        document["steps"].as_array().unwrap().iter().filter(|step| step["state"] == "done").collect();
    assert!(journal.len() > 20);
    let ids = |steps: &[&Value], name: &str| -> Vec<String> {
        steps.iter().map(|step| step[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&forward, "step"), ids(&journal, "id"), "one line each, in order");
    for (line, step) in forward.iter().zip(&journal) {
        assert_eq!(line["run"], document["run"]["id"]);
        assert_eq!(line["phase"], step["phase"]);
        assert_eq!((&line["outcome"], &line["level"]), (&"done".into(), &"INFO".into()));
        assert_eq!(line["attempts"], step["attempts"], "{line}");
        assert_eq!(line["rows"], step["rows"], "{line}");
        assert!(line["object"].as_str().is_some_and(|object| !object.is_empty()));
        let number = |name: &str| line[name].as_f64().unwrap_or_else(|| panic!("{name} of {line}"));
        assert!(number("duration_ms") > 0.0 && number("waited_ms") >= 0.0);
        assert!((number("held_ms") - step["held_ms"].as_f64().unwrap()).abs() < 0.01, "{line}");
        let lock = step["lock"].as_str().map(|lock| lock.to_uppercase().replace('_', " "));
        assert_eq!(line["lock"].as_str().map(str::to_owned), lock);
    }

    let ran = bastide.run(&[&["rls", "rollback", "--yes"][..], &json].concat()).expect(0);
    let lines = log(&ran.stderr);
    let undone = steps(&lines);
    let mut back = ids(&journal, "id");
    back.reverse();
    assert_eq!(ids(&undone, "step"), back);
    assert!(undone.iter().all(|line| line["outcome"] == "undone" && line["run"] == document["run"]["id"]));

    // An error is a line of the log, too; as text nothing of this is said unless asked for.
    let ran = bastide.run(&["rls", "rollback", "--yes", "--log-format", "json"]).expect(4);
    let lines = log(&ran.stderr);
    assert_eq!(lines.last().unwrap()["level"], "ERROR");
    assert!(lines.last().unwrap()["message"].as_str().unwrap().contains("there is nothing to undo"));
    let quiet = bastide
        .run(&[&["rls", "migrate", "--no-backup", "--i-have-a-backup"][..], &PLANNED].concat())
        .expect(0);
    assert!(!quiet.stderr.contains("bastide::step"), "{}", quiet.stderr);
    let told = bastide.run(&["rls", "rollback", "--yes", "-v"]).expect(0);
    assert!(
        told.stderr.contains("bastide::step") && told.stderr.contains("outcome=\"undone\""),
        "{}",
        told.stderr
    );
    for password in PASSWORDS {
        assert!(!ran.stderr.contains(password) && !told.stderr.contains(password));
    }
}
