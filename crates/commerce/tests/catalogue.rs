//! Products, variants and categories against the migrated shop, and the migration that brings them.

mod shop;

use std::collections::BTreeMap;

use bastide_commerce::{
    Changed, Error, Money, Version,
    drafts::{CategoryChange, CategoryDraft, ProductChange, ProductDraft, VariantChange, VariantDraft},
    queries::{
        catalogue::{self, Deleted, Filter},
        categories::{self, Planted},
        products, variants,
    },
    rows::{Category, CategoryNode, ProductDetail, ProductOption, ProductStatus, VariantStatus},
};
use bastide_tenancy::{PoolConfig, TenantId, TenantPool, TenantTx};

const LAGOON: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const HARBOUR: &str = "bbbbbbbb-0000-4000-8000-000000000002";

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

async fn begin(pool: &TenantPool, id: &str) -> TenantTx {
    pool.begin(&tenant(id)).await.unwrap()
}

fn net(sku: &str) -> ProductDraft {
    let variant = |suffix: &str, amount| VariantDraft {
        sku: format!("{sku}-{suffix}"),
        title: suffix.to_owned(),
        price: Money { amount, currency: "EUR".to_owned() },
        options: BTreeMap::from([("Size".to_owned(), suffix.to_owned())]),
        on_hand: 3,
    };
    ProductDraft {
        name: "Grüner Netz".to_owned(),
        slug: None,
        description: String::new(),
        status: ProductStatus::Active,
        category_id: None,
        options: vec![ProductOption {
            name: "Size".to_owned(),
            values: vec!["S".to_owned(), "M".to_owned()],
        }],
        variants: vec![variant("M", 900), variant("S", 700)],
    }
}

async fn made(pool: &TenantPool, id: &str, draft: &ProductDraft) -> Result<ProductDetail, Error> {
    let mut tx = begin(pool, id).await;
    let product = catalogue::create(&mut tx, draft).await?;
    tx.commit().await?;
    Ok(product)
}

#[tokio::test]
async fn a_product_is_one_with_its_variants() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    let product = made(&pool, LAGOON, &net("G")).await.unwrap();
    let id = product.summary.id;
    assert_eq!(product.summary.slug, "gruener-netz");
    assert_eq!(
        product.variants.iter().map(|v| v.sku.as_str()).collect::<Vec<_>>(),
        ["G-M", "G-S"],
        "as they were sent"
    );
    assert_eq!(product.summary.price_from.as_ref().unwrap().amount, 700);
    assert_eq!(made(&pool, LAGOON, &net("H")).await.unwrap().summary.slug, "gruener-netz-2");
    assert_eq!(
        made(&pool, HARBOUR, &net("G")).await.unwrap().summary.slug,
        "gruener-netz",
        "another merchant's do not count"
    );
    let taken = made(&pool, LAGOON, &net("G")).await.unwrap_err();
    assert!(taken.violates(variants::SKU_KEY), "{taken}");
    let taken = made(&pool, LAGOON, &ProductDraft { slug: Some("gruener-netz".to_owned()), ..net("I") })
        .await
        .unwrap_err();
    assert!(taken.violates(catalogue::SLUG_KEY), "{taken}");
    let half = "SELECT count(*) FROM public.variants WHERE sku LIKE 'I-%'";
    assert_eq!(database.query_one_text(half).await, "0", "nothing half written");

    let mut tx = begin(&pool, LAGOON).await;
    let cheap = product.variants[1].id;
    let change = VariantChange { status: Some(VariantStatus::Archived), ..VariantChange::default() };
    assert!(matches!(
        variants::update(&mut tx, id, cheap, Version::Exactly(1), &change).await.unwrap(),
        Changed::Now(_)
    ));
    let again = variants::update(&mut tx, id, cheap, Version::Exactly(1), &change).await.unwrap();
    assert_eq!(again, Changed::Stale { current: 2 });
    let after = catalogue::get_in(&mut tx, id).await.unwrap().unwrap();
    assert_eq!(after.summary.price_from.as_ref().unwrap().amount, 900, "the cheaper one is not for sale");
    assert_eq!(after.version, product.version + 1);
    assert_eq!(
        variants::delete(&mut tx, id + 1, cheap, Version::Any).await.unwrap(),
        Changed::Gone,
        "another product's"
    );
    tx.commit().await.unwrap();
    let on_sale = products::on_sale(&pool, &tenant(LAGOON), None, 2).await.unwrap();
    assert_eq!(on_sale.rows[1].price, Money { amount: 900, currency: "EUR".to_owned() });
}

#[tokio::test]
async fn old_slugs_lead_on_and_a_stale_change_changes_nothing() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    let product = made(&pool, LAGOON, &net("G")).await.unwrap();
    let (id, version) = (product.summary.id, product.version);
    let mut tx = begin(&pool, LAGOON).await;
    let rename = |slug: &str| ProductChange { slug: Some(slug.to_owned()), ..ProductChange::default() };
    let Changed::Now(renamed) =
        catalogue::update(&mut tx, id, Version::Exactly(version), &rename("new")).await.unwrap()
    else {
        panic!("nobody else changed it")
    };
    assert_eq!((renamed.summary.slug.as_str(), renamed.version), ("new", version + 1));
    let stale = catalogue::update(&mut tx, id, Version::Exactly(version), &rename("newer")).await.unwrap();
    assert_eq!(stale, Changed::Stale { current: version + 1 });
    assert_eq!(catalogue::update(&mut tx, -1, Version::Any, &rename("x")).await.unwrap(), Changed::Gone);
    tx.commit().await.unwrap();
    let after = async |slug: &str| catalogue::slug_after(&pool, &tenant(LAGOON), slug).await.unwrap();
    assert_eq!(after("gruener-netz").await.as_deref(), Some("new"));
    assert_eq!(catalogue::slug_after(&pool, &tenant(HARBOUR), "gruener-netz").await.unwrap(), None);
    // Whoever takes it over has it.
    made(&pool, LAGOON, &ProductDraft { slug: Some("gruener-netz".to_owned()), ..net("H") }).await.unwrap();
    assert_eq!(after("gruener-netz").await, None);
}

#[tokio::test]
async fn lists_are_narrowed_and_what_was_ordered_stays() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    let list = async |filter: Filter| {
        catalogue::list(&pool, &tenant(LAGOON), &filter, None, 100).await.unwrap().rows
    };
    assert_eq!(list(Filter::default()).await.len(), 50);
    assert_eq!(list(Filter { status: Some(ProductStatus::Draft), ..Filter::default() }).await.len(), 5);
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    assert_eq!(list(text("NET 4")).await.len(), 11);
    assert_eq!(list(text("a50")).await.len(), 1, "by SKU");
    assert_eq!(list(text("%")).await.len(), 0, "no pattern");
    assert_eq!(list(text("rope")).await.len(), 0);

    let ids = list(Filter::default()).await.iter().map(|product| product.id).collect::<Vec<_>>();
    database
        .execute(&format!(
            "INSERT INTO public.order_lines (tenant_id, order_id, line_no, product_id, title, quantity, price_cents) \
             SELECT '{LAGOON}', min(id), 1, {}, 't', 1, 1 FROM public.orders",
            ids[0]
        ))
        .await;
    let mut tx = begin(&pool, LAGOON).await;
    assert_eq!(catalogue::delete(&mut tx, ids[0], Version::Any).await.unwrap(), Deleted::Ordered);
    assert!(matches!(
        catalogue::delete(&mut tx, ids[1], Version::Exactly(99)).await.unwrap(),
        Deleted::Changed(Changed::Stale { .. })
    ));
    assert_eq!(
        catalogue::delete(&mut tx, ids[1], Version::Any).await.unwrap(),
        Deleted::Changed(Changed::Now(()))
    );
    assert_eq!(
        catalogue::delete(&mut tx, ids[1], Version::Any).await.unwrap(),
        Deleted::Changed(Changed::Gone)
    );
    tx.commit().await.unwrap();
    let foreign =
        "SELECT min(id) FROM public.products WHERE merchant_id = 'bbbbbbbb-0000-4000-8000-000000000002'";
    let foreign = database.query_one_text(foreign).await.parse().unwrap();
    let mut tx = begin(&pool, LAGOON).await;
    assert_eq!(
        catalogue::delete(&mut tx, foreign, Version::Any).await.unwrap(),
        Deleted::Changed(Changed::Gone)
    );
}

#[tokio::test]
async fn a_tree_stays_one() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    let add = async |parent_id: Option<i64>| {
        let mut tx = begin(&pool, LAGOON).await;
        let draft = CategoryDraft { name: "C".to_owned(), parent_id, position: 0 };
        let came = categories::create(&mut tx, &draft).await.unwrap();
        tx.commit().await.unwrap();
        came
    };
    let id = |came: Planted<Category>| match came {
        Planted::Done(category) => category.id,
        other => panic!("{other:?}"),
    };
    let mut chain = vec![id(add(None).await)];
    for _ in 1..categories::DEEPEST {
        chain.push(id(add(chain.last().copied()).await));
    }
    assert_eq!(add(chain.last().copied()).await, Planted::TooDeep);
    assert_eq!(add(Some(-1)).await, Planted::NoParent);
    let shift = async |id: i64, parent: Option<i64>| {
        let mut tx = begin(&pool, LAGOON).await;
        let change = CategoryChange { parent_id: Some(parent), ..CategoryChange::default() };
        let came = categories::update(&mut tx, id, Version::Any, &change).await.unwrap();
        tx.commit().await.unwrap();
        came
    };
    assert_eq!(shift(chain[0], Some(chain[3])).await, Planted::Circle);
    assert_eq!(shift(chain[2], Some(chain[2])).await, Planted::Circle);
    database
        .execute(&format!("INSERT INTO public.categories (merchant_id, name) VALUES ('{HARBOUR}', 'Theirs')"))
        .await;
    let other = id(add(None).await);
    let under = id(add(Some(other)).await);
    assert_eq!(shift(chain[0], Some(under)).await, Planted::TooDeep);
    let foreign = database.query_one_text("SELECT min(id) FROM public.categories WHERE merchant_id <> 'aaaaaaaa-0000-4000-8000-000000000001'").await;
    assert_eq!(shift(other, Some(foreign.parse().unwrap())).await, Planted::NoParent, "another merchant's");

    // Two moves that would close a circle only together: one of them comes second.
    let (left, right) = (id(add(None).await), id(add(None).await));
    let both = tokio::join!(shift(left, Some(right)), shift(right, Some(left)));
    assert_eq!([&both.0, &both.1].iter().filter(|came| ***came == Planted::Circle).count(), 1, "{both:?}");

    let mut tx = begin(&pool, LAGOON).await;
    assert_eq!(categories::delete(&mut tx, chain[6], Version::Any, false).await.unwrap(), Planted::NotEmpty);
    assert_eq!(
        categories::delete(&mut tx, chain[6], Version::Exactly(9), true).await.unwrap(),
        Planted::Done(Changed::Stale { current: 1 })
    );
    assert_eq!(
        categories::delete(&mut tx, chain[6], Version::Any, true).await.unwrap(),
        Planted::Done(Changed::Now(()))
    );
    tx.commit().await.unwrap();
    let rows = categories::all(&pool, &tenant(LAGOON)).await.unwrap();
    assert_eq!(rows.iter().find(|row| row.id == chain[7]).unwrap().parent_id, Some(chain[5]));
    assert_eq!(CategoryNode::tree(rows).len(), 3);
}

#[tokio::test]
async fn the_migration_makes_slugs_unique_and_takes_it_back() {
    let (_server, database) = shop::migrated().await;
    let schema = async || database.schema_dump().await;
    let rows = async || {
        database.query_rows("SELECT to_jsonb(p) - '{version,options,from_cents,from_currency,slug_before}'::text[] FROM public.products p ORDER BY id").await
    };
    let with = schema().await;
    shop::down(&database, 4).await.unwrap();
    let without = schema().await;
    database.execute("UPDATE public.products SET slug = 'net-1' WHERE slug IN ('net-3', 'net-5', 'rope-1'); UPDATE public.products SET slug = 'net-1-2' WHERE slug = 'net-7'").await;
    let before = rows().await;
    shop::up(&database, Some(5)).await;
    let slugs = "SELECT merchant_id || ' ' || slug || ' ' || coalesce(slug_before, '-') FROM public.products WHERE slug LIKE 'net-1%' AND slug !~ '^net-1[0-9]' ORDER BY id";
    let lagoon = |slug: &str| format!("{LAGOON} {slug}");
    assert_eq!(
        database.query_rows(slugs).await,
        [
            lagoon("net-1 -"),
            lagoon("net-1-3 net-1"),
            lagoon("net-1-4 net-1"),
            lagoon("net-1-2 -"),
            format!("{HARBOUR} net-1 -")
        ]
    );
    shop::down(&database, 4).await.unwrap();
    assert_eq!(rows().await, before, "to the last byte");
    assert_eq!(schema().await, without);

    // Written since: two SKUs change places, and a product of three variants keeps its first.
    shop::up(&database, Some(5)).await;
    database
        .execute("UPDATE public.variants SET sku = 'swap' WHERE sku = 'A1'; UPDATE public.variants SET sku = 'A1' WHERE sku = 'A2'; \
            UPDATE public.variants SET sku = 'A2', price_cents = 5 WHERE sku = 'swap'; \
            INSERT INTO public.products (merchant_id, slug, name) VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 'new', 'New')")
        .await;
    let refused = shop::down(&database, 4).await.unwrap_err();
    assert!(refused.to_string().contains("1 rows have no variant"), "{refused}");
    database
        .execute("INSERT INTO public.variants (tenant_id, product_id, sku, price_cents, currency) SELECT merchant_id, id, 'N' || n, n, 'EUR' \
            FROM public.products, generate_series(1, 3) n WHERE slug = 'new'")
        .await;
    shop::down(&database, 4).await.unwrap();
    let kept = "SELECT slug || ' ' || sku || ' ' || price_cents FROM public.products WHERE sku IN ('A1', 'A2', 'N1', 'N2') ORDER BY sku";
    assert_eq!(database.query_rows(kept).await, ["net-2 A1 1002", "net-1 A2 5", "new N1 1"]);
    shop::up(&database, None).await;
    assert_eq!(schema().await, with);
}
