//! Keys that no tenant-wide one can replace: asked about before anything runs, so that cutover does not fail for them.

use bastide_engine::{EngineError, RunState};
use bastide_sql::Ident;
use bastide_verify::Severity;

use crate::scene::{Scene, config};

/// One of every kind that stays global, beside some that look like it and tell nothing.
const TELLING: &str = r#"
CREATE TABLE "Codes" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint REFERENCES "Orders", a text, b text, c text, d text, e text, during daterange,
    giver int REFERENCES merchants, taker int REFERENCES merchants,
    CONSTRAINT "A key" UNIQUE (a) DEFERRABLE, CONSTRAINT b_key UNIQUE NULLS NOT DISTINCT (b), CONSTRAINT d_key UNIQUE (d), CONSTRAINT with_id UNIQUE (id, a) DEFERRABLE,
    CONSTRAINT apart EXCLUDE USING gist (during WITH &&), CONSTRAINT e_key UNIQUE (e));
CREATE UNIQUE INDEX c_key ON "Codes" (c COLLATE "C.utf8");
CREATE UNIQUE INDEX open_key ON "Codes" (e) WHERE d IS NULL;
CREATE UNIQUE INDEX lower_key ON "Codes" (lower(e));
CREATE UNIQUE INDEX lower_with_id ON "Codes" (id, lower(e));
CREATE TABLE audit (code text REFERENCES "Codes" (d));
CREATE UNIQUE INDEX lower_slug ON merchants (lower(slug));
CREATE TABLE events (id bigint, at date, order_id bigint REFERENCES "Orders", token text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE UNIQUE INDEX once ON events (at, token) WHERE token <> '';
CREATE UNIQUE INDEX its_own ON events_2025 (lower(token));
INSERT INTO "Codes" (order_id, b) SELECT i, i::text FROM generate_series(1, 30) i;
INSERT INTO events SELECT i, '2025-02-01', i, i::text FROM generate_series(1, 30) i;
"#;

const ASKED: [&str; 11] = [
    r#"key:public."Codes"."A key""#,
    r#"key:public."Codes"."Codes_giver_fkey""#,
    r#"key:public."Codes"."Codes_taker_fkey""#,
    r#"key:public."Codes".apart"#,
    r#"key:public."Codes".b_key"#,
    r#"key:public."Codes".c_key"#,
    r#"key:public."Codes".d_key"#,
    r#"key:public."Codes".lower_key"#,
    r#"key:public."Codes".open_key"#,
    "key:public.events.once",
    "key:public.events_2025.its_own",
];

async fn scene(answered: &[&str]) -> Scene {
    let mut scene = Scene::new().await;
    scene.db.execute(TELLING).await;
    let mut config = config();
    config.exclude_tables.insert("public.audit".parse().unwrap());
    config.answers = answered.iter().map(|id| ((*id).to_owned(), "keep".to_owned())).collect();
    scene.config = config;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_asked_about_before_anything_runs() {
    let scene = scene(&[]).await;
    let before = scene.snapshot().await;
    let options = scene.options().await;
    let mut asked: Vec<&str> = options.plan.open().map(|question| question.id.as_str()).collect();
    asked.sort_unstable();
    assert_eq!(asked, ASKED);
    let error = scene.migrate(&options).await.unwrap_err();
    assert!(matches!(error, EngineError::OpenQuestions { count: 11, .. }), "{error}");
    assert_eq!(error.exit_code(), 2);
    scene.assert_as(&before).await;
}

/// Verification finds none but those that planning asked about.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_they_pass_cutover_and_are_told_in_the_verdict() {
    let scene = scene(&ASKED).await;
    let before = scene.snapshot().await;
    scene.migrate(&scene.options().await).await.unwrap();
    let outcome = scene.cutover().await.unwrap();
    assert_eq!(outcome.run.state, RunState::CutOver);
    let run = outcome.run.id.to_string();
    let verdict = outcome.verdict.unwrap();
    assert!(verdict.isolated(), "{:?}", verdict.open_findings().collect::<Vec<_>>());
    for question in ASKED {
        let told = verdict
            .findings
            .iter()
            .find(|finding| finding.message.contains(&format!("`{question}` = `keep`")));
        let told = told.unwrap_or_else(|| panic!("{question} is not told"));
        assert!(told.severity == Severity::Info && told.message.contains(&run), "{told:?}");
    }
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

/// One made after the run was planned was asked about by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_accepted_is_found_by_verification() {
    let scene = scene(&ASKED).await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.cutover().await.unwrap();
    scene.db.execute("CREATE UNIQUE INDEX later ON order_lines (lower(what)) WHERE n = -1").await;
    let mut owner = scene.db.client().await;
    let found = bastide_verify::posture(&mut owner, &Ident::constant("bastide_app")).await.unwrap();
    let open: Vec<_> = found.iter().filter(|finding| finding.severity > Severity::Info).collect();
    assert_eq!(
        open.iter().map(|finding| (finding.id.as_str(), finding.object.as_str())).collect::<Vec<_>>(),
        [("BST-023", "public.order_lines")]
    );
}
