//! Operators' work on merchants: what is exported is one merchant's whole, and what is deleted is gone from everywhere.

use bastide_schema::{SchemaError, tenants};

use crate::scene::{Scene, app, quiet};

const SHOPS: &str = "INSERT INTO public.currencies VALUES ('EUR', 'Euro', 2);
    INSERT INTO public.merchants (id, slug, name, currency) VALUES
        ('aaaaaaaa-0000-4000-8000-000000000001', 'lagoon', 'Lagoon', 'EUR'), ('bbbbbbbb-0000-4000-8000-000000000002', 'harbour', 'Harbour', 'EUR');
    INSERT INTO public.users (id, email, name, password_hash) VALUES ('11111111-0000-4000-8000-000000000001', 'ada@lagoon.test', 'Ada', '');
    INSERT INTO public.team_members (merchant_id, user_id, role) SELECT id, '11111111-0000-4000-8000-000000000001', 'owner' FROM public.merchants WHERE status = 'active';";

/// A circle of keys, a tree, a chain, and what Bastide keeps.
const ROWS: &str = "INSERT INTO public.storefront_configs (merchant_id) SELECT id FROM public.merchants WHERE status = 'active';
    UPDATE public.merchants m SET main_config_id = (SELECT c.id FROM public.storefront_configs c WHERE c.merchant_id = m.id) WHERE status = 'active';
    INSERT INTO public.categories (merchant_id, name) SELECT id, 'Top' FROM public.merchants WHERE status = 'active';
    INSERT INTO public.categories (merchant_id, name, parent_id) SELECT merchant_id, 'Below', id FROM public.categories WHERE name = 'Top';
    INSERT INTO public.customers (tenant_id, email, name) SELECT id, 'c@' || slug, 'C' FROM public.merchants WHERE status = 'active';
    INSERT INTO public.orders (merchant_id, customer_id, number, currency) SELECT tenant_id, id, 'O-' || id, 'EUR' FROM public.customers WHERE email LIKE 'c@%';
    INSERT INTO public.order_lines (tenant_id, order_id, line_no, title, quantity, price_cents) SELECT merchant_id, id, 1, 'T', 1, 1 FROM public.orders WHERE number LIKE 'O-%';
    INSERT INTO bastide.session (id, user_id, merchant_id, address, agent, expires_at)
        SELECT gen_random_uuid(), '11111111-0000-4000-8000-000000000001', id, '', '', now() FROM public.merchants WHERE status = 'active';
    INSERT INTO bastide.crossing (at, kind, method, route, merchant, request_id) SELECT now(), 'header', 'GET', '/', id, 'r' FROM public.merchants WHERE status = 'active';
    REFRESH MATERIALIZED VIEW public.daily_sales;";

async fn scene() -> Scene {
    let scene = Scene::empty().await;
    bastide_schema::up(&scene.options, Some(2), &quiet).await.unwrap();
    scene.db.execute(SHOPS).await;
    bastide_schema::up(&scene.options, None, &quiet).await.unwrap();
    scene.db.execute(ROWS).await;
    scene
}

#[tokio::test]
async fn an_export_is_all_of_one_merchant_and_nothing_of_another() {
    let scene = scene().await;
    let mut lines = Vec::new();
    let mut write = |table: &bastide_sql::QualifiedName, line: &str| {
        lines.push(format!("{table} {line}"));
        Ok(())
    };
    let exported = tenants::export(&scene.options.place.target, "lagoon", &app(), &mut write).await.unwrap();
    assert_eq!(exported.iter().map(|table| table.rows).sum::<u64>(), u64::try_from(lines.len()).unwrap());
    for table in
        ["public.merchants", "public.orders", "public.order_lines", "public.customers", "public.team_members"]
    {
        assert!(
            exported.iter().any(|rows| rows.table.to_string() == table && rows.rows == 1),
            "{table}: {exported:?}"
        );
    }
    let text = lines.join("\n");
    assert!(text.contains("c@lagoon") && !text.contains("harbour") && !text.contains("bbbbbbbb"), "{text}");
    assert_eq!(scene.db.query_rows("SELECT act, slug FROM bastide.operator_act").await, ["export|lagoon"]);
}

#[tokio::test]
async fn a_merchant_that_is_deleted_is_gone_from_everywhere_and_another_is_whole() {
    let scene = scene().await;
    let target = &scene.options.place.target;
    let of_harbour = "SELECT (SELECT count(*) FROM public.orders WHERE merchant_id::text LIKE 'bbbb%') + (SELECT count(*) FROM public.customers WHERE email = 'c@harbour') \
        + (SELECT count(*) FROM public.categories WHERE merchant_id::text LIKE 'bbbb%') + (SELECT count(*) FROM bastide.session WHERE merchant_id::text LIKE 'bbbb%') \
        + (SELECT count(*) FROM public.daily_sales WHERE merchant_id::text LIKE 'bbbb%')";
    let before = scene.db.query_one_text(of_harbour).await;
    let deleted = tenants::delete(target, "lagoon").await.unwrap();
    assert!(
        deleted.columns_looked_at > 30 && deleted.tables.iter().map(|table| table.rows).sum::<u64>() >= 8,
        "{deleted:?}"
    );
    let dump = scene.db.tool("pg_dump", &["--data-only"]).await;
    assert!(!dump.contains("aaaaaaaa-0000-4000-8000-000000000001"), "its id is nowhere");
    assert!(!dump.contains("c@lagoon"), "nor is its customer");
    assert_eq!(scene.db.query_one_text(of_harbour).await, before);
    assert!(matches!(tenants::delete(target, "lagoon").await, Err(SchemaError::NoTenant { .. })));
    let left: Vec<String> =
        tenants::tenants(target).await.unwrap().into_iter().map(|tenant| tenant.slug).collect();
    assert_eq!(left, ["harbour"], "and the canaries are nobody");
}

#[tokio::test]
async fn what_is_left_somewhere_keeps_a_merchant_from_being_deleted_half() {
    let scene = scene().await;
    let target = &scene.options.place.target;
    scene.db.execute("CREATE TABLE public.copies (whose uuid); INSERT INTO public.copies VALUES ('aaaaaaaa-0000-4000-8000-000000000001')").await;
    let refused = tenants::delete(target, "lagoon").await.unwrap_err();
    assert!(refused.to_string().contains("public.copies.whose still names"), "{refused}");
    scene.db.execute("DROP TABLE public.copies; CREATE TABLE public.refers (merchant uuid REFERENCES public.merchants); \
        CREATE TABLE public.notes (body text, line bigint REFERENCES public.orders); INSERT INTO public.notes SELECT 'n', id FROM public.orders WHERE merchant_id::text LIKE 'aaaa%'").await;
    let refused = tenants::delete(target, "lagoon").await.unwrap_err();
    assert!(refused.to_string().contains("public.orders"), "{refused}");
    assert_eq!(
        scene
            .db
            .query_one_text("SELECT count(*) FROM public.order_lines WHERE tenant_id::text LIKE 'aaaa%'")
            .await,
        "1",
        "nothing was deleted"
    );
}

#[tokio::test]
async fn a_merchant_is_suspended_and_renamed() {
    let scene = scene().await;
    let target = &scene.options.place.target;
    assert_eq!(tenants::set_suspended(target, "lagoon", true).await.unwrap().status, "suspended");
    assert_eq!(tenants::set_suspended(target, "lagoon", false).await.unwrap().status, "active");
    assert!(matches!(tenants::rename(target, "lagoon", "harbour").await, Err(SchemaError::SlugTaken { .. })));
    assert_eq!(tenants::rename(target, "lagoon", "laguna").await.unwrap().slug, "laguna");
    assert!(
        matches!(tenants::rename(target, "harbour", "lagoon").await, Err(SchemaError::SlugTaken { .. })),
        "it leads on"
    );
    assert!(matches!(
        tenants::set_suspended(target, "nobody", true).await,
        Err(SchemaError::NoTenant { .. })
    ));
    let acts = scene.db.query_rows("SELECT act || ' ' || slug FROM bastide.operator_act ORDER BY at").await;
    assert_eq!(acts, ["suspend lagoon", "resume lagoon", "rename lagoon"]);
}
