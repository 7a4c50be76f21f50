//! `src/routes/catalogue`

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::{
    driver::{Case, Scene, Who},
    site::Site,
};

const READS: Who = Who::Team { may: &["owner", "admin", "staff", "viewer"], may_not: &[] };
const WRITES: Who = Who::Team { may: &["owner", "admin", "staff"], may_not: &["viewer"] };

/// What is deleted must be there again for each role that may.
const DOOMED: &str = "INSERT INTO public.products (id, merchant_id, slug, name) VALUES (900001, 'aaaaaaaa-0000-4000-8000-000000000001', 'doomed', 'Doomed') \
        ON CONFLICT DO NOTHING; \
    INSERT INTO public.variants (tenant_id, id, product_id, sku, price_cents, currency) OVERRIDING SYSTEM VALUE \
        VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 900001, 900001, 'DOOMED', 1, 'EUR'), ('aaaaaaaa-0000-4000-8000-000000000001', 900002, 900001, 'SPARE', 1, 'EUR') \
        ON CONFLICT DO NOTHING; \
    INSERT INTO public.categories (id, merchant_id, name) VALUES (900001, 'aaaaaaaa-0000-4000-8000-000000000001', 'Doomed') ON CONFLICT DO NOTHING";

/// SKUs that are made are free again.
const FRESH: &str = "DELETE FROM public.products WHERE name = 'Made by a case'";

/// A product without a variant.
const LONE: &str = "INSERT INTO public.products (id, merchant_id, slug, name) VALUES (900003, 'aaaaaaaa-0000-4000-8000-000000000001', 'lone', 'Lone') \
        ON CONFLICT DO NOTHING; \
    DELETE FROM public.variants WHERE product_id = 900003";

struct Ids {
    product: (i64, i64),
    variant: (i64, i64),
    category: (i64, i64),
}

/// The smallest of lagoon's and of harbour's.
async fn ids(site: &Site) -> Ids {
    site.database
        .execute(
            "INSERT INTO public.categories (merchant_id, name) SELECT id, 'Shelf' FROM public.merchants WHERE slug IN ('lagoon', 'harbour'); \
             UPDATE public.inventory_levels SET tracked = true, on_hand = 50",
        )
        .await;
    let of = async |select: &str, slug: &str| -> i64 {
        let sql =
            format!("SELECT min(id) FROM {select} = (SELECT id FROM public.merchants WHERE slug = '{slug}')");
        site.database.query_one_text(&sql).await.parse().unwrap()
    };
    let both = async |select: &str| (of(select, "lagoon").await, of(select, "harbour").await);
    Ids {
        product: both("public.products WHERE merchant_id").await,
        variant: both("public.variants WHERE tenant_id").await,
        category: both("public.categories WHERE merchant_id").await,
    }
}

fn product() -> Value {
    json!({
        "name": "Made by a case", "slug": null, "description": "", "status": "draft", "category_id": null, "options": [],
        "variants": [{ "sku": "CASE", "price": { "amount": 1, "currency": "EUR" } }]
    })
}

pub(crate) async fn cases(scene: &Scene) -> Vec<Case> {
    let ids = ids(&scene.site).await;
    scene.site.database.execute(DOOMED).await;
    [shop(), products(&ids), variants(&ids), categories(&ids), stock(&ids), media(scene, &ids).await].concat()
}

fn shop() -> Vec<Case> {
    vec![
        Case::of("list_products_on_sale", Who::Anybody)
            .refuses_query("limit=ten", 422, "invalid", "/limit")
            .refuses_query("limit=1&limit=2", 400, "bad_request", "")
            .refuses_query("sort=best", 422, "invalid", "/sort")
            .refuses_query("option=Size", 422, "invalid", "/option")
            .refuses_query("available=perhaps", 422, "invalid", "/available")
            .refuses_query("min_price=1.5", 422, "invalid", "/min_price")
            .refuses_query("q=%00", 422, "invalid", "/q")
            .refuses_query("cursor=%00", 400, "invalid_cursor", ""),
        Case::of("list_product_facets", Who::Anybody).refuses_query(
            "category=x",
            422,
            "invalid",
            "/category",
        ),
        Case::of("search_suggestions", Who::Anybody).refuses_query("q=%07", 422, "invalid", "/q"),
        Case::of("get_product_on_sale", Who::Anybody).at("slug", "net-1", "rope-1"),
        Case::of("list_category_tree", Who::Anybody),
    ]
}

fn products(ids: &Ids) -> Vec<Case> {
    let with = |pointer: &str, value: Value| {
        let mut body = product();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let create = Case { prepare: FRESH, ..Case::of("create_product", WRITES).sends(product()) }
        .refuses_body(with("/slug", json!("nеt")), 422, "invalid", "/slug")
        .refuses_body(with("/slug", json!("net-1")), 422, "invalid", "/slug")
        .refuses_body(with("/category_id", json!(ids.category.1)), 422, "invalid", "/category_id")
        .refuses_body(with("/variants/0/sku", json!("A1")), 422, "invalid", "/variants")
        .refuses_body(
            with("/variants/0/price/currency", json!("EURO")),
            422,
            "invalid",
            "/variants/0/price/currency",
        )
        .refuses_body(
            with("/variants/0/price/amount", json!(-1)),
            422,
            "invalid",
            "/variants/0/price/amount",
        );
    vec![
        Case::of("list_products", READS)
            .refuses_query("status=gone", 422, "invalid", "/status")
            .refuses_query("category=x", 422, "invalid", "/category")
            .refuses_query("q=%00", 422, "invalid", "/q")
            .refuses_query("cursor=e30.e30", 400, "invalid_cursor", ""),
        create,
        Case::of("get_product", READS).at("id", ids.product.0, ids.product.1),
        Case::of("update_product", WRITES)
            .at("id", ids.product.0, ids.product.1)
            .sends(json!({ "name": "Another" }))
            .refuses_body(json!({ "category_id": ids.category.1 }), 422, "invalid", "/category_id")
            .refuses_body(json!({ "slug": "../net" }), 422, "invalid", "/slug")
            .refuses_body(json!({ "slug": "net-2" }), 422, "invalid", "/slug"),
        Case { prepare: DOOMED, ..Case::of("delete_product", WRITES).at("id", 900_001, ids.product.1) },
    ]
}

fn variants(ids: &Ids) -> Vec<Case> {
    let draft = json!({ "sku": "CASE-2", "price": { "amount": 1, "currency": "EUR" }, "options": {} });
    let mut of_theirs = draft.clone();
    of_theirs["price"]["currency"] = json!("USD");
    let at =
        |case: Case| case.at("product", ids.product.0, ids.product.1).at("id", ids.variant.0, ids.variant.1);
    vec![
        Case { prepare: LONE, ..Case::of("create_variant", WRITES).at("product", 900_003, ids.product.1) }
            .sends(draft)
            .refuses_body(of_theirs, 422, "invalid", "/price/currency"),
        at(Case::of("get_variant", READS)),
        at(Case::of("update_variant", WRITES))
            .sends(json!({ "title": "Another" }))
            .refuses_body(json!({ "sku": "A2" }), 422, "invalid", "/sku")
            .refuses_body(json!({ "options": { "Size": "S" } }), 422, "invalid", "/options"),
        Case { prepare: DOOMED, ..Case::of("delete_variant", WRITES) }
            .at("product", 900_001, ids.product.1)
            .at("id", 900_001, ids.variant.1),
    ]
}

fn categories(ids: &Ids) -> Vec<Case> {
    vec![
        Case::of("list_categories", READS),
        Case::of("create_category", WRITES)
            .sends(json!({ "name": "Made by a case", "parent_id": null, "position": 1 }))
            .refuses_body(json!({ "name": "x", "parent_id": ids.category.1 }), 422, "invalid", "/parent_id")
            .refuses_body(json!({ "name": "x", "position": -1 }), 422, "invalid", "/position"),
        Case::of("get_category", READS).at("id", ids.category.0, ids.category.1),
        Case::of("update_category", WRITES)
            .at("id", ids.category.0, ids.category.1)
            .sends(json!({ "name": "Another" }))
            .refuses_body(json!({ "parent_id": ids.category.0 }), 422, "invalid", "/parent_id")
            .refuses_body(json!({ "parent_id": ids.category.1 }), 422, "invalid", "/parent_id"),
        Case { prepare: DOOMED, ..Case::of("delete_category", WRITES).at("id", 900_001, ids.category.1) }
            .refuses_query("contents=burn", 422, "invalid", "/contents"),
    ]
}

fn stock(ids: &Ids) -> Vec<Case> {
    let at = |case: Case| case.at("variant", ids.variant.0 + 1, ids.variant.1);
    vec![
        Case::of("list_stock_levels", READS).refuses_query("below=few", 422, "invalid", "/below"),
        at(Case::of("get_stock_level", READS)),
        at(Case::of("set_stock_level", WRITES))
            .sends(json!({ "on_hand": 50, "reason": "counted" }))
            .refuses_body(json!({ "on_hand": -1, "reason": "counted" }), 422, "invalid", "/on_hand")
            .refuses_body(json!({ "on_hand": 1, "reason": "sold" }), 422, "invalid", "/reason"),
        at(Case::of("adjust_stock_level", WRITES))
            .sends(json!({ "delta": -1, "reason": "lost" }))
            .refuses_body(json!({ "delta": -1000, "reason": "lost" }), 422, "invalid", "/delta"),
        at(Case::of("list_stock_adjustments", READS)).refuses_query("limit=ten", 422, "invalid", "/limit"),
    ]
}

/// One pixel, and each byte of it a character.
const GIF: &str = "GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;";

/// Pictures that are taken away are there again.
const PICTURES: &str = "INSERT INTO public.product_media (tenant_id, id, product_id, hash, extension, bytes, width, height) OVERRIDING SYSTEM VALUE \
    SELECT m.id, 900001 + n, (SELECT min(p.id) FROM public.products p WHERE p.merchant_id = m.id), repeat(n::text, 64), 'gif', 1, 1, 1 \
    FROM (VALUES ('lagoon', 0), ('harbour', 1)) AS v (slug, n) JOIN public.merchants m USING (slug) ON CONFLICT DO NOTHING";

async fn media(scene: &Scene, ids: &Ids) -> Vec<Case> {
    scene.site.database.execute(PICTURES).await;
    // A file of each of the two.
    let put = async |slug: &str, product: i64, who: &str, bytes: &str| {
        let request = Request::post(format!("/api/v1/admin/{slug}/products/{product}/media"))
            .header("content-type", "image/gif")
            .header("authorization", who);
        let answer = scene.site.send(request.body(Body::from(bytes.to_owned())).unwrap()).await;
        answer.json()["file"].as_str().unwrap().to_owned()
    };
    let files = (
        put("lagoon", ids.product.0, &scene.of_role["owner"], GIF).await,
        put("harbour", ids.product.1, &scene.stranger, &GIF.replace('L', "M")).await,
    );
    let at = |case: Case| case.at("product", ids.product.0, ids.product.1).at("id", 900_001, 900_002);
    vec![
        Case::of("add_picture", WRITES)
            .at("product", ids.product.0, ids.product.1)
            .sends_file("image/gif", GIF)
            .refuses_body(json!({ "svg": "<svg onload=alert(1)>" }), 422, "image_invalid", ""),
        at(Case::of("update_picture", WRITES)).sends(json!({ "alt": "A net" })).refuses_body(
            json!({ "position": -1 }),
            422,
            "invalid",
            "/position",
        ),
        Case { prepare: PICTURES, ..at(Case::of("remove_picture", WRITES)) },
        Case::of("get_picture", Who::Anybody).at("file", files.0, files.1),
    ]
}
