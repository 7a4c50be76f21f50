//! Searching one shop among many, on a real server.

mod shop;

use bastide_commerce::queries::{
    self,
    search::{self, Sort, Wanted},
};
use bastide_tenancy::{PoolConfig, TenantId, TenantPool};

const LAGOON: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const HARBOUR: &str = "bbbbbbbb-0000-4000-8000-000000000002";

async fn names(pool: &TenantPool, tenant: &str, wanted: &Wanted, sort: Sort, limit: u16) -> Vec<String> {
    let tenant = TenantId::new(tenant).unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = search::products(pool, &tenant, wanted, sort, after, limit).await.unwrap();
        found.extend(page.rows.iter().map(|found| found.product.name.clone()));
        after = page.rows.last().map(|found| found.position.clone());
        if !page.has_more {
            return found;
        }
    }
}

fn words(text: &str) -> Wanted {
    Wanted { words: Some(text.to_owned()), ..Wanted::default() }
}

#[tokio::test]
async fn words_find_what_begins_with_them_and_misspelt_ones_what_is_like_them() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    let count = async |text: &str| names(&pool, LAGOON, &words(text), Sort::Relevance, 100).await.len();
    assert_eq!(count("lagoon").await, 45, "drafts are not found");
    assert_eq!(count("LAG").await, 45);
    assert_eq!(count("lagon").await, 45, "a letter less");
    assert_eq!(count("laggoon nte").await, 0, "not everything is a misspelling");
    assert_eq!(count("net 12").await, 1, "all of the words");
    assert_eq!(count("knotted").await, 45, "in the description");
    assert_eq!(count("rope").await, 0, "another merchant's");
    for text in ["", "!!!", "'", "a & | b", "%", "\u{202e}", "lagoon' OR true --"] {
        count(text).await;
    }
    assert_eq!(names(&pool, LAGOON, &words("a7"), Sort::Relevance, 10).await, ["Lagoon net 7"], "by SKU");
    database.execute("UPDATE public.products SET name = 'Sea harp' WHERE name = 'Lagoon net 7'").await;
    assert_eq!(names(&pool, LAGOON, &words("harp"), Sort::Relevance, 10).await, ["Sea harp"]);
    assert_eq!(count("lagoon").await, 44);
    let suggest = async |tenant: &str, text: &str| {
        search::suggestions(&pool, &TenantId::new(tenant).unwrap(), text).await.unwrap()
    };
    assert_eq!(suggest(LAGOON, "kno").await, ["knotted"]);
    assert_eq!(suggest(LAGOON, "knottd").await, ["knotted"]);
    assert_eq!(suggest(HARBOUR, "knotted").await, Vec::<String>::new());
}

#[tokio::test]
async fn every_order_goes_through_all_of_them_once() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    database.execute("UPDATE public.variants SET price_cents = 7 WHERE id % 3 = 0").await;
    for sort in Sort::ALL {
        for wanted in [Wanted::default(), words("lagoon")] {
            let mut found = names(&pool, LAGOON, &wanted, sort, 7).await;
            assert_eq!(found.len(), 45, "{sort:?}");
            if sort == Sort::Name {
                assert!(found.is_sorted());
            }
            found.sort();
            found.dedup();
            assert_eq!(found.len(), 45, "{sort:?}: one twice");
        }
    }
    let cheap = Wanted { highest: Some(7), ..Wanted::default() };
    let all = names(&pool, LAGOON, &cheap, Sort::PriceUp, 100).await;
    let dear = Wanted { lowest: Some(8), ..Wanted::default() };
    assert_eq!(all.len() + names(&pool, LAGOON, &dear, Sort::PriceDown, 100).await.len(), 45);
}

#[tokio::test]
async fn facets_count_what_was_found() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    database
        .execute(&format!(
            "INSERT INTO public.categories (id, merchant_id, parent_id, name) VALUES (901, '{LAGOON}', NULL, 'Top'), (902, '{LAGOON}', 901, 'Below'); \
             UPDATE public.products SET category_id = 902 WHERE name IN ('Lagoon net 1', 'Lagoon net 2'); \
             UPDATE public.variants SET options = '{{\"Size\": \"S\"}}' WHERE sku IN ('A1', 'A3'); \
             UPDATE public.inventory_levels l SET tracked = true, on_hand = 1 FROM public.variants v WHERE v.id = l.variant_id AND v.sku = 'A1'; \
             INSERT INTO public.reservations (tenant_id, variant_id, holder, quantity, expires_at) \
                 SELECT tenant_id, id, gen_random_uuid(), 1, now() + interval '1 hour' FROM public.variants WHERE sku = 'A1'"
        ))
        .await;
    let tenant = TenantId::new(LAGOON).unwrap();
    let all = search::facets(&pool, &tenant, &Wanted::default()).await.unwrap();
    assert_eq!((all.count, all.at_least, all.available), (45, false, 44));
    assert_eq!((all.lowest, all.highest), (Some(1001), Some(1049)));
    assert_eq!((all.categories[0].id, all.categories[0].count), (902, 2));
    assert_eq!(
        (all.options[0].name.as_str(), all.options[0].value.as_str(), all.options[0].count),
        ("Size", "S", 2)
    );
    let top = Wanted { category_id: Some(901), available: true, ..Wanted::default() };
    assert_eq!(
        names(&pool, LAGOON, &top, Sort::Newest, 10).await,
        ["Lagoon net 2"],
        "what is below it, and can be bought"
    );
    let small = Wanted { option: Some(("Size".to_owned(), "S".to_owned())), ..Wanted::default() };
    assert_eq!(names(&pool, LAGOON, &small, Sort::Newest, 10).await, ["Lagoon net 3", "Lagoon net 1"]);
    let theirs = Wanted { category_id: Some(902), ..Wanted::default() };
    assert!(names(&pool, HARBOUR, &theirs, Sort::Newest, 10).await.is_empty());
}

/// Among many shops that sell the same, a search reads the index rows of its own.
#[tokio::test]
async fn a_search_reads_the_rows_of_its_tenant_by_index() {
    let (_server, database) = shop::migrated().await;
    database
        .execute(&format!(
            "INSERT INTO public.products (merchant_id, slug, name, status) SELECT '{HARBOUR}', 'lagoon-' || n, 'Lagoon thing ' || n, 'active' \
             FROM generate_series(1, 3000) n; ANALYZE"
        ))
        .await;
    let query = queries::all().into_iter().find(|(name, _)| *name == "search, by relevance").unwrap().1;
    let client = database.client_as("bastide_app", "app").await;
    client
        .batch_execute(&format!(
            "PREPARE s (text, bigint, bigint, bigint, boolean, text, text, bigint, bigint, bigint, text) AS {}; \
             BEGIN; SELECT bastide.set_tenant('{LAGOON}')",
            query.sql()
        ))
        .await
        .unwrap();
    for words in ["lagoon", "lagon"] {
        let explain = format!(
            "EXPLAIN (ANALYZE, TIMING OFF) EXECUTE s ('{words}', NULL, NULL, NULL, false, NULL, NULL, 20, NULL, NULL, NULL)"
        );
        let plan: Vec<String> =
            client.query(&explain, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan on product_terms") && !plan.contains("Seq Scan on terms"), "{plan}");
        assert!(plan.contains("(tenant_id = $"), "the policy is an index condition:\n{plan}");
        // Nothing of another's is read and thrown away.
        let thrown = plan.split("on product_terms").nth(1).unwrap();
        let thrown = thrown.split("->").next().unwrap();
        assert!(!thrown.contains("Rows Removed by Filter"), "{plan}");
    }
}
