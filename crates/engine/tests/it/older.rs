//! Runs that an older Bastide began, when evidence was a table with one line per row.

use bastide_engine::{RunState, finish};

use crate::scene::Scene;

/// What such a run has in place of the packed tables: the same evidence, and inverses that read it.
const OLDER: &str = r#"
CREATE TABLE bastide.unpacked (run_id uuid NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, relation text NOT NULL, key jsonb NOT NULL, tenant text, rule integer NOT NULL, PRIMARY KEY (run_id, relation, seq));
INSERT INTO bastide.unpacked (run_id, relation, key, tenant, rule) SELECT run_id, relation, key, tenant, rule FROM bastide.assignment ORDER BY relation, seq;
DROP VIEW bastide.assignment;
DROP TABLE bastide.assigned, bastide.assigned_keyless, bastide.assigned_tenant;
ALTER TABLE bastide.unpacked RENAME TO assignment;
ALTER TABLE bastide.assignment OWNER TO bastide_owner;
UPDATE bastide.journal SET inverse = jsonb_set(inverse, '{statements}', to_jsonb(ARRAY[
    'DELETE FROM bastide.assignment WHERE run_id = current_setting(''bastide.run'')::uuid',
    'DELETE FROM bastide.rule WHERE run_id = current_setting(''bastide.run'')::uuid'])) WHERE step = 'infer_tenants:1';
UPDATE bastide.journal SET inverse = '{"mode": "nothing", "statements": []}' WHERE step = 'infer_tenants:2';
UPDATE bastide.journal SET inverse = jsonb_set(inverse, '{statements}', to_jsonb(ARRAY[
    'WITH found AS MATERIALIZED (
        SELECT seq, key, tenant FROM bastide.assignment
        WHERE run_id = current_setting(''bastide.run'')::uuid AND relation = ''"public"."customers"'' AND seq > COALESCE($1::text::bigint, 0)
        ORDER BY seq LIMIT $2::bigint
    ), changed AS (
        UPDATE ONLY "public"."customers" AS t SET "merchant_id" = NULL FROM found
        WHERE t."id" = (found.key->>0)::integer AND found.tenant IS NOT NULL AND t."merchant_id" = found.tenant::integer
        RETURNING 1
    )
    SELECT (SELECT CASE WHEN count(*) = $2::bigint THEN max(seq)::text END FROM found), (SELECT count(*) FROM changed)']))
WHERE step LIKE 'backfill:public.customers.merchant\_id:%' AND inverse->>'mode' = 'batches';
"#;

const KIND: &str = "SELECT relkind::text FROM pg_class WHERE oid = 'bastide.assignment'::regclass";
const LEFT: &str = "SELECT count(*) FROM bastide.assignment";

#[tokio::test(flavor = "multi_thread")]
async fn it_is_undone_by_its_own_sql_and_the_next_run_packs() {
    let scene = Scene::small().await;
    let before = scene.snapshot().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.db.execute(OLDER).await;
    assert_ne!(scene.db.query_one_text(LEFT).await, "0");
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
    assert_eq!(
        (scene.db.query_one_text(KIND).await.as_str(), scene.db.query_one_text(LEFT).await.as_str()),
        ("r", "0")
    );

    // Nothing should be left in it; what is, is not destroyed in silence.
    scene.db.execute("INSERT INTO bastide.assignment (run_id, relation, key, rule) SELECT id, 'r', '[]', 1 FROM bastide.run").await;
    let error = scene.migrate(&scene.options().await).await.unwrap_err().to_string();
    assert!(error.contains("TRUNCATE bastide.assignment"), "{error}");
    assert_eq!(scene.db.query_one_text(LEFT).await, "1");
    scene.db.execute("TRUNCATE bastide.assignment").await;
    scene.migrate(&scene.options().await).await.unwrap();
    assert_eq!(scene.db.query_one_text(KIND).await, "v");
    assert_ne!(scene.db.query_one_text(LEFT).await, "0");
    scene.rollback(None).await.unwrap();
    scene.assert_as(&before).await;
    assert_eq!(scene.db.query_one_text(LEFT).await, "0", "the view stays for whoever selects from it");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_finished() {
    let scene = Scene::small().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.cutover().await.unwrap();
    scene.db.execute(OLDER).await;
    let run = finish(&scene.place().target, None).await.unwrap();
    assert_eq!(run.state, RunState::Finished);
    assert_eq!(scene.db.query_one_text(LEFT).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_gives_the_room_of_packed_evidence_back() {
    let scene = Scene::new().await;
    scene.migrate(&scene.options().await).await.unwrap();
    scene.cutover().await.unwrap();
    let size = "SELECT pg_relation_size('bastide.assigned') > 0";
    assert_eq!(scene.db.query_one_text(size).await, "t");
    finish(&scene.place().target, None).await.unwrap();
    assert_eq!(scene.db.query_one_text(size).await, "f");
}
