//! Runs that go part of the way, forward or back: where they stop, and that from there both ways are open.

use bastide_engine::{EngineError, RunState};
use bastide_plan::Phase;

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_after_preflight_it_runs_no_step() {
    let scene = Scene::new().await;
    let before = scene.snapshot().await;
    let mut options = scene.options().await;
    options.until = Some(Phase::Preflight);
    let outcome = scene.migrate(&options).await.unwrap();
    assert_eq!((outcome.run.state, outcome.run.phase), (RunState::Stopped, Phase::Preflight));
    assert_eq!(scene.db.query_one_text("SELECT count(*)::text FROM pg_policies").await, "0");
    assert!(outcome.run.backup.is_none());
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

/// REVOKE and GRANT leave the built-in default of a function spelt out, where NULL stood: no change of the schema.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_rollback_leaves_fits_the_same_plan() {
    let scene = Scene::new().await;
    let definer = "CREATE FUNCTION spent(customer bigint) RETURNS numeric LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
         AS 'SELECT sum(o.total) FROM public.\"Orders\" o WHERE o.\"customerId\" = customer'";
    scene.db.execute(definer).await;
    let before = scene.snapshot().await;
    let options = scene.options().await;
    scene.migrate(&options).await.unwrap();
    let undone = scene.rollback(Some(Phase::Analysis)).await.unwrap();
    assert_eq!((undone.run.state, undone.run.phase), (RunState::Stopped, Phase::Analysis));
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
    scene.migrate(&options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_cannot_go_back_to_where_it_never_was() {
    let scene = Scene::new().await;
    let refused = async |to| {
        let error = scene.rollback(Some(to)).await.unwrap_err();
        assert!(matches!(error, EngineError::WrongState { .. }), "{error}");
    };
    let mut options = scene.options().await;
    options.until = Some(Phase::Analysis);
    scene.migrate(&options).await.unwrap();
    refused(Phase::Assignment).await;
    refused(Phase::Optimisation).await;
    assert_eq!(scene.resume().await.unwrap().run.state, RunState::PendingCutover);
    refused(Phase::Cutover).await;
    // It would call a closed database pending cutover.
    assert_eq!(scene.cutover().await.unwrap().run.state, RunState::CutOver);
    refused(Phase::Cutover).await;
    let undone = scene.rollback(Some(Phase::Policies)).await.unwrap();
    assert_eq!((undone.run.state, undone.run.phase), (RunState::Stopped, Phase::Policies));
    refused(Phase::Optimisation).await;
    scene.rollback(None).await.unwrap();
}

/// Its policies and grants go with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_somebody_dropped_does_not_keep_a_run_from_rolling_back() {
    let scene = Scene::new().await;
    let before = scene.snapshot().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.db.execute("DROP OWNED BY bastide_app; DROP ROLE bastide_app").await;
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
}

/// What it may do already, of tables or of single columns, is neither granted anew nor taken away.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_there_keeps_the_rights_it_had() {
    let mut scene = Scene::new().await;
    scene.config.app_role = bastide_sql::Ident::constant("shop_app");
    let rights = "CREATE ROLE shop_app LOGIN PASSWORD 'x'; GRANT SELECT, UPDATE ON \"Orders\" TO shop_app; GRANT SELECT (id), UPDATE (email) ON customers TO shop_app;
         GRANT SELECT ON order_totals TO shop_app";
    scene.db.execute(rights).await;
    let before = scene.snapshot().await;
    let mut options = scene.options().await;
    options.until = Some(Phase::Policies);
    scene.migrate(&options).await.unwrap();
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
    scene.db.execute("DROP OWNED BY shop_app; DROP ROLE shop_app").await;
}
