//! There and back, from every state.

use bastide_engine::{Event, RunState, StepState, dry_run, finish, status};
use bastide_plan::Phase;

use crate::scene::{Scene, same_but_for_order, same_schema};

#[tokio::test(flavor = "multi_thread")]
async fn migrated_and_rolled_back_nothing_differs() {
    let scene = Scene::new().await;
    let before = scene.snapshot().await;
    let outcome = scene.migrate(&scene.options().await).await.unwrap();
    assert_eq!(outcome.run.state, RunState::PendingCutover);
    assert!(outcome.verdict.unwrap().isolated());
    assert_eq!(outcome.run.phases.len(), 7);
    let unfinished: Vec<_> =
        outcome.steps.iter().filter(|s| s.phase != Phase::Cutover && s.state != StepState::Done).collect();
    assert!(unfinished.is_empty(), "{unfinished:?}");
    let (run, _) = status(&scene.place().target, None).await.unwrap();
    assert_eq!(run.id, outcome.run.id);
    let undone = scene.rollback(None).await.unwrap();
    assert_eq!(undone.run.state, RunState::RolledBack);
    assert!(undone.written_since.is_empty(), "{:?}", undone.written_since);
    scene.assert_as(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_over_and_rolled_back_nothing_differs() {
    let scene = Scene::new().await;
    let before = scene.snapshot().await;
    scene.migrate(&scene.options().await).await.unwrap();
    let outcome = scene.cutover().await.unwrap();
    assert_eq!(outcome.run.state, RunState::CutOver);
    assert!(outcome.steps.iter().all(|step| step.state == StepState::Done));
    let open = "SELECT count(*)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity AND NOT relforcerowsecurity";
    assert_eq!(scene.db.query_one_text(open).await, "0");
    let undone = scene.rollback(None).await.unwrap();
    assert!(undone.written_since.is_empty(), "{:?}", undone.written_since);
    scene.assert_as(&before).await;
    // And again, over the history of the first run.
    scene.migrate(&scene.options().await).await.unwrap();
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cutover_alone_is_undone_and_done_again_then_finished() {
    let scene = Scene::new().await;
    scene.migrate(&scene.options().await).await.unwrap();
    let pending = scene.db.schema_dump().await;
    scene.cutover().await.unwrap();
    let closed = scene.db.schema_dump().await;
    let undone = scene.rollback(Some(Phase::Optimisation)).await.unwrap();
    assert_eq!(undone.run.state, RunState::PendingCutover);
    same_but_for_order(&pending, &scene.db.schema_dump().await);
    scene.cutover().await.unwrap();
    same_but_for_order(&closed, &scene.db.schema_dump().await);
    let closed = scene.db.schema_dump().await;
    let run = finish(&scene.place().target, None).await.unwrap();
    assert_eq!(run.state, RunState::Finished);
    same_schema(&closed, &scene.db.schema_dump().await);
    let error = scene.rollback(None).await.unwrap_err();
    assert!(error.to_string().contains("finish"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stops_where_it_is_told_and_goes_on() {
    let scene = Scene::new().await;
    let before = scene.snapshot().await;
    let mut options = scene.options().await;
    options.until = Some(Phase::Assignment);
    let outcome = scene.migrate(&options).await.unwrap();
    assert_eq!((outcome.run.state, outcome.run.phase), (RunState::Upgraded, Phase::Assignment));
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
    let undone = scene.rollback(Some(Phase::Assignment)).await.unwrap();
    assert_eq!(undone.run.state, RunState::Upgraded);
    assert_eq!(scene.db.query_one_text("SELECT count(*)::text FROM pg_policies").await, "0");
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_meanwhile_are_kept_and_named() {
    let scene = Scene::new().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.db.execute(r#"INSERT INTO "Orders" VALUES (9001, 1, 9.99)"#).await;
    let undone = scene.rollback(None).await.unwrap();
    assert_eq!(undone.written_since, [r#"public."Orders" (2000 rows before, 2001 now)"#]);
    assert_eq!(scene.db.query_one_text(r#"SELECT count(*)::text FROM "Orders""#).await, "2001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_renders_every_step_and_sends_none() {
    let scene = Scene::new().await;
    let before = scene.snapshot().await;
    let plan = scene.plan().await;
    let rendered = dry_run(&plan);
    assert_eq!(rendered.len(), plan.steps.len());
    let protect = rendered.iter().find(|step| step.id.as_str().starts_with("protect_table")).unwrap();
    assert!(
        protect.forward.starts_with("BEGIN\n;\n") && protect.forward.ends_with("COMMIT\n;\n"),
        "{}",
        protect.forward
    );
    scene.assert_as(&before).await;
}

/// What a run says when the schema is not what its steps were to leave.
fn surprises(scene: &Scene) -> Vec<String> {
    let events = scene.events.lock().unwrap();
    let notices = events.iter().filter_map(|event| match event {
        Event::Notice { text } if text.contains("foresaw") => Some(text.clone()),
        _ => None,
    });
    notices.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_leaves_is_what_its_steps_foresaw() {
    let scene = Scene::small().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.cutover().await.unwrap();
    assert_eq!(surprises(&scene), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_foresaw_is_said_and_fails_nothing() {
    let scene = Scene::small().await;
    scene
        .db
        .execute(
            "CREATE FUNCTION stray() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE IF NOT EXISTS public.stray (); END $$;
             CREATE EVENT TRIGGER stray ON ddl_command_end WHEN TAG IN ('CREATE POLICY') EXECUTE FUNCTION stray()",
        )
        .await;
    scene.migrate(&scene.options().await).await.unwrap();
    let said = surprises(&scene);
    assert!(said.len() == 1 && said[0].contains("public.stray"), "{said:?}");
}
