//! What stops a run: before it changes anything, or with everything put back.

use std::time::Duration;

use bastide_engine::{EngineError, OnFailure, Patience, RunState, status};

use crate::scene::{Scene, same_schema};

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_plan_says_what_changed_and_changes_nothing() {
    let scene = Scene::new().await;
    let options = scene.options().await;
    scene.db.execute("ALTER TABLE customers ADD COLUMN phone text; INSERT INTO merchants (id, slug, name) VALUES (77, 'new', 'New')").await;
    let before = scene.snapshot().await;
    let error = scene.migrate(&options).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.to_string().contains("public.customers"), "{error}");
    scene.assert_as(&before).await;
    assert_eq!(status(&scene.place().target, None).await.unwrap_err().exit_code(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_changed_do_not_make_a_plan_stale() {
    let scene = Scene::new().await;
    let options = scene.options().await;
    scene.db.execute("INSERT INTO merchants (id, slug, name) VALUES (77, 'new', 'New')").await;
    scene.migrate(&options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_database_is_not_migrated_again() {
    let scene = Scene::new().await;
    let options = scene.options().await;
    scene.migrate(&options).await.unwrap();
    let error = scene.migrate(&options).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.to_string().contains("rls cutover"), "{error}");
}

/// Refuses every CREATE POLICY, so the run fails in the middle of phase policies.
const NO_POLICIES: &str = "CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no policies here'; END $$;
CREATE EVENT TRIGGER forbid ON ddl_command_start WHEN TAG IN ('CREATE POLICY') EXECUTE FUNCTION forbid()";

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_the_middle_rolls_back_by_itself() {
    let scene = Scene::new().await;
    scene.db.execute(NO_POLICIES).await;
    let before = scene.snapshot().await;
    let error = scene.migrate(&scene.options().await).await.unwrap_err();
    assert!(matches!(error, EngineError::RolledBack(_)), "{error}");
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("no policies here"), "{error}");
    scene.assert_as(&before).await;
    let (run, _) = status(&scene.place().target, None).await.unwrap();
    assert_eq!(run.state, RunState::RolledBack);
    assert!(run.error.unwrap().contains("no policies here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_stops_and_resumes_when_the_cause_is_gone() {
    let scene = Scene::new().await;
    scene.db.execute(NO_POLICIES).await;
    let mut options = scene.options().await;
    options.on_failure = OnFailure::Stop;
    let error = scene.migrate(&options).await.unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    scene.db.execute("DROP EVENT TRIGGER forbid").await;
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebodys_lock_stops_the_run_without_undoing_it() {
    let scene = Scene::new().await;
    let mut options = scene.options().await;
    options.place.patience = Patience { tries: 3, total: Duration::from_secs(5), ..Patience::default() };
    let other = scene.db.client().await;
    other
        .batch_execute(
            "SET application_name = 'night report'; BEGIN; LOCK TABLE order_lines IN ACCESS SHARE MODE",
        )
        .await
        .unwrap();
    let error = scene.migrate(&options).await.unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert!(error.to_string().contains("night report"), "{error}");
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_refuses_before_it_would_lose_rows() {
    let scene = Scene::new().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.cutover().await.unwrap();
    // One e-mail in two shops: the old schema's UNIQUE (email) cannot hold it.
    scene.db.execute("SET row_security = off; INSERT INTO customers (id, merchant_id, email) VALUES (8001, 1, 'twice@example.com'), (8002, 2, 'twice@example.com')").await;
    let migrated = scene.db.schema_dump().await;
    let error = scene.rollback(None).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("public.customers") && error.to_string().contains("email"), "{error}");
    same_schema(&migrated, &scene.db.schema_dump().await);
    let (run, _) = status(&scene.place().target, None).await.unwrap();
    assert_eq!(run.state, RunState::CutOver);
    scene.db.execute("SET row_security = off; DELETE FROM customers WHERE id = 8002").await;
    scene.rollback(None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_refuses_while_a_row_held_aside_has_no_place_to_come_back_to() {
    let scene = Scene::small().await;
    let before = scene.snapshot().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.cutover().await.unwrap();
    let held =
        "SELECT string_agg(relation || key, ' ' ORDER BY seq) FROM bastide.held WHERE restored_at IS NULL";
    assert_eq!(scene.db.query_one_text(held).await, r#""public"."lines"["33", "1"] "public"."orders"["33"]"#);
    scene.db.execute("SET row_security = off; INSERT INTO orders VALUES (33, 1, 2)").await;
    let migrated = scene.db.schema_dump().await;
    let error = scene.rollback(None).await.unwrap_err();
    assert!(matches!(error, EngineError::NotRestorable(_)), "{error}");
    let said =
        "1 row(s) of public.orders held aside cannot come back, for rows written since have their (id): 33";
    assert!(error.to_string().contains(said), "{error}");
    same_schema(&migrated, &scene.db.schema_dump().await);
    assert_eq!(status(&scene.place().target, None).await.unwrap().0.state, RunState::CutOver);
    scene.db.execute("SET row_security = off; DELETE FROM orders WHERE id = 33").await;
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_refuses_while_a_row_held_aside_would_come_back_to_nothing() {
    let scene = Scene::small().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.cutover().await.unwrap();
    // Order 33 is held aside and refers to customer 4, whom nothing in the live tables needs any more.
    scene
        .db
        .execute(
            "SET row_security = off; DELETE FROM lines WHERE order_id IN (SELECT id FROM orders WHERE customer_id = 4);
             DELETE FROM orders WHERE customer_id = 4; DELETE FROM customers WHERE id = 4",
        )
        .await;
    let migrated = scene.db.schema_dump().await;
    let error = scene.rollback(None).await.unwrap_err();
    assert!(matches!(error, EngineError::NotRestorable(_)), "{error}");
    let said = "1 row(s) of public.orders held aside cannot come back, for the rows of public.customers they refer to were deleted since: 4";
    assert!(error.to_string().contains(said), "{error}");
    same_schema(&migrated, &scene.db.schema_dump().await);
    let customer = "SET row_security = off; INSERT INTO customers (id, merchant_id, email) VALUES (4, 1, 'again@example.com')";
    scene.db.execute(customer).await;
    scene.rollback(None).await.unwrap();
    let dangling = "SELECT count(*)::text FROM orders o WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = o.customer_id)";
    assert_eq!(scene.db.query_one_text(dangling).await, "0");
}
