//! Serving queries against the migrated shop.

mod shop;

use bastide_commerce::{
    Money,
    queries::{self, crossings, merchants, migration, orders, products, storefronts, users},
    rows::{Crossing, CrossingKind},
};
use bastide_tenancy::{Error as DoorError, PoolConfig, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

const LAGOON: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const HARBOUR: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const ADA: &str = "11111111-0000-4000-8000-000000000001";

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

fn uuid(id: &str) -> Uuid {
    id.parse().unwrap()
}

#[tokio::test]
async fn the_server_plans_every_query() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    for (name, query) in queries::all() {
        pool.prepare(&query).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (name, lookup) in queries::lookups() {
        pool.prepare_lookup(&lookup).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn pages_go_through_all_rows_of_one_tenant_and_no_other() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = orders::newest(&pool, &tenant(LAGOON), after, 7).await.unwrap();
        seen.extend(page.rows.iter().map(|order| order.number.clone()));
        assert!(
            page.rows.iter().all(|order| order
                .customer
                .as_ref()
                .unwrap()
                .name
                .as_deref()
                .unwrap()
                .starts_with("Ada"))
        );
        after = page.rows.last().map(bastide_commerce::rows::Order::position);
        if !page.has_more {
            break;
        }
    }
    let expected: Vec<_> = (1..=60).rev().map(|n| format!("L-{n}")).collect();
    assert_eq!(seen, expected);

    let (mut count, mut after) = (0, None);
    loop {
        let page = products::on_sale(&pool, &tenant(LAGOON), after, 10).await.unwrap();
        assert!(page.rows.iter().all(|product| product.name.starts_with("Lagoon")));
        count += page.rows.len();
        after = page.rows.last().map(bastide_commerce::rows::Product::position);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(count, 45, "50 products, of which 5 are drafts");

    let harbour = products::on_sale(&pool, &tenant(HARBOUR), None, 100).await.unwrap();
    assert_eq!((harbour.rows.len(), harbour.has_more), (8, false));
    assert_eq!(harbour.rows[7].price, Money { amount: 501, currency: "USD".to_owned() });
}

#[tokio::test]
async fn a_page_reads_an_index_of_the_tenant() {
    let (_server, database) = shop::migrated().await;
    database.execute("CREATE UNIQUE INDEX ON public.orders (merchant_id, placed_at, id)").await;
    database
        .execute(
            "INSERT INTO public.orders (merchant_id, number, currency, placed_at) \
             SELECT CASE WHEN n % 50 = 0 THEN 'aaaaaaaa-0000-4000-8000-000000000001'::uuid ELSE 'bbbbbbbb-0000-4000-8000-000000000002' END, \
             'N' || n, 'EUR', timestamptz '2024-01-01' + n * interval '1 second' FROM generate_series(1, 20000) n; ANALYZE public.orders",
        )
        .await;
    let client = database.client_as("bastide_app", "app").await;
    let next = queries::all().into_iter().find(|(name, _)| *name == "orders, next page").unwrap().1;
    let text = next.sql().replace("$1", "20").replace("$2", "timestamptz '2024-01-02'").replace("$3", "5");
    client.batch_execute(&format!("BEGIN; SELECT bastide.set_tenant('{LAGOON}')")).await.unwrap();
    let plan: Vec<String> =
        client.query(&format!("EXPLAIN {text}"), &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("merchant_id = $0"), "the policy is the index condition:\n{plan}");
    assert!(!plan.contains("Seq Scan on orders"), "{plan}");
}

#[tokio::test]
async fn lookups_find_the_exact_key_only() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;

    let lagoon = merchants::by_slug(&pool, "lagoon").await.unwrap().unwrap();
    assert_eq!(
        (lagoon.name.as_str(), lagoon.currency.as_str(), lagoon.is_open()),
        ("Lagoon & Sons", "EUR", true)
    );
    assert!(!merchants::by_slug(&pool, "shut").await.unwrap().unwrap().is_open());
    for slug in ["Lagoon", "lagoo_", "%", "' OR true --", "lagoon ", ""] {
        assert_eq!(merchants::by_slug(&pool, slug).await.unwrap(), None, "{slug}");
    }
    let ada = users::login_by_email(&pool, "ada@lagoon.test").await.unwrap().unwrap();
    assert_eq!((ada.user_id, ada.active), (uuid(ADA), true));
    assert!(users::login_by_email(&pool, "ada%").await.unwrap().is_none());
    assert!(!users::login_by_email(&pool, "gone@lagoon.test").await.unwrap().unwrap().active);

    let role = async |user: &str, merchant: &str| {
        users::membership(&pool, uuid(user), uuid(merchant)).await.unwrap()
    };
    assert_eq!(role(ADA, LAGOON).await.as_deref(), Some("owner"));
    assert_eq!(role(ADA, HARBOUR).await, None);
    assert_eq!(role("33333333-0000-4000-8000-000000000003", LAGOON).await, None, "switched off");

    let names = |merchants: Vec<bastide_commerce::rows::MerchantMembership>| {
        merchants.into_iter().map(|merchant| merchant.slug).collect::<Vec<_>>()
    };
    let ben = uuid("22222222-0000-4000-8000-000000000002");
    assert_eq!(
        names(merchants::of_user(&pool, ben).await.unwrap()),
        ["harbour", "shut"],
        "suspended, but not closed"
    );

    let status = migration::status(&pool).await.unwrap().unwrap();
    assert_eq!((status.state.as_str(), status.steps_done, status.steps_total), ("cut_over", 3, 4));
}

#[tokio::test]
async fn the_app_login_has_no_other_way_to_what_lookups_read() {
    let (_server, database) = shop::migrated().await;
    let app = database.client_as("bastide_app", "app").await;
    for sql in
        ["SELECT email FROM public.users", "SELECT state FROM bastide.run", "SELECT 1 FROM bastide.journal"]
    {
        let error = app.query(sql, &[]).await.expect_err(sql);
        assert_eq!(error.code().unwrap().code(), "42501", "{sql}");
    }
    assert_eq!(
        app.query("SELECT id FROM public.merchants", &[]).await.unwrap().len(),
        0,
        "no context, no rows"
    );
    database.execute("CREATE ROLE somebody LOGIN PASSWORD 's'").await;
    let somebody = database.client_as("somebody", "s").await;
    let error = somebody.query("SELECT slug FROM bastide.merchant_by_slug('lagoon')", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
    // Nothing a caller makes can stand in for a table the look-ups read.
    app.batch_execute(
        "CREATE TEMP TABLE merchants (id uuid, slug text, name text, currency text, status text)",
    )
    .await
    .unwrap();
    app.batch_execute("INSERT INTO pg_temp.merchants VALUES (NULL, 'ghost', 'g', 'EUR', 'active'); SET search_path = pg_temp, public").await.unwrap();
    assert_eq!(app.query("SELECT slug FROM bastide.merchant_by_slug('ghost')", &[]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn lookups_go_up_and_down_without_a_trace() {
    let (_server, database) = shop::migrated().await;
    database.execute(shop::DOWN_ACCOUNTS).await;
    database.execute(shop::DOWN_WATCH).await;
    let catalog = "SELECT (SELECT string_agg(p.oid::regprocedure::text || coalesce(p.proacl::text, ''), E'\n' ORDER BY p.oid::regprocedure::text) \
        FROM pg_proc p WHERE p.pronamespace = 'bastide'::regnamespace) || (SELECT string_agg(attrelid::regclass || attname || attacl::text, E'\n' \
        ORDER BY attrelid, attnum) FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text NOT LIKE 'pg_%')";
    let with = database.query_one_text(catalog).await;
    assert!(with.contains("merchant_by_slug"));
    database.execute(shop::DOWN).await;
    let left = database.query_rows("SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'bastide'::regnamespace AND prosecdef").await;
    assert!(left.is_empty(), "{left:?}");
    let without = database.schema_dump().await;
    let granted = "SELECT attrelid::regclass FROM pg_attribute WHERE attacl::text LIKE '%bastide_owner%'";
    assert!(database.query_rows(granted).await.is_empty(), "no grant is left");
    database.execute(shop::UP).await;
    assert_eq!(database.query_one_text(catalog).await, with);
    database.execute(shop::DOWN).await;
    assert_eq!(database.schema_dump().await, without);
    database.execute("CREATE ROLE other_app LOGIN").await;
    database.execute(&format!("SET bastide.app_role = 'other_app'; {}", shop::UP)).await;
    let may = "SELECT has_function_privilege('other_app', 'bastide.login_by_email(text)', 'EXECUTE') \
        AND NOT has_function_privilege('bastide_app', 'bastide.login_by_email(text)', 'EXECUTE')";
    assert_eq!(database.query_one_text(may).await, "t");
}

#[tokio::test]
async fn an_answer_is_one_row_of_one_tenants_index() {
    let (_server, database) = shop::migrated().await;
    database
        .execute(
            "INSERT INTO public.idempotency_keys SELECT m.id, 'user:x', 'POST /', 'k' || n, 'f', 200, '{}', '', now() + n * interval '1 minute' \
             FROM public.merchants m, generate_series(-1000, 4000) n; ANALYZE public.idempotency_keys",
        )
        .await;
    let client = database.client_as("bastide_app", "app").await;
    client.batch_execute(&format!("BEGIN; SELECT bastide.set_tenant('{LAGOON}')")).await.unwrap();
    let plan = async |name: &str| {
        let query = queries::all().into_iter().find(|(own, _)| *own == name).unwrap().1;
        let values = ["'user:x'", "'POST /'", "'k7'", "'f'", "200", "'{}'", "''"];
        let text = values.iter().enumerate().fold(query.sql().to_owned(), |text, (index, value)| {
            text.replace(&format!("${}", index + 1), value)
        });
        let rows = client.query(&format!("EXPLAIN {text}"), &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
    };
    for (name, index) in [
        ("idempotency, find", "idempotency_keys_pkey"),
        ("idempotency, store", "idempotency_keys_expires_idx"),
    ] {
        let plan = plan(name).await;
        assert!(plan.contains(index) && plan.contains("tenant_id = $"), "{name}:\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{name}:\n{plan}");
    }
}

#[tokio::test]
async fn the_canaries_come_and_go_without_a_trace() {
    const ROWS: &str = "SELECT (SELECT count(*) FROM public.merchants) || ' ' || (SELECT count(*) FROM public.storefront_configs) || ' ' || \
        (SELECT count(*) FROM public.products) || ' ' || (SELECT count(*) FROM public.customers) || ' ' || (SELECT count(*) FROM public.orders)";
    let (_server, database) = shop::migrated().await;
    let schema = async || {
        let dump = database.tool("pg_dump", &["--schema-only"]).await;
        dump.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
    };
    let with = schema().await;
    assert_eq!(database.query_one_text(ROWS).await, "5 4 61 12 65");
    database.execute(shop::DOWN_WATCH).await;
    assert_eq!(database.query_one_text(ROWS).await, "3 2 59 10 63", "and nobody else's row");
    database.execute(shop::UP_WATCH).await;
    assert_eq!(schema().await, with);

    // Filtered rows would stay behind: whoever is bound is refused instead.
    database.execute("CREATE ROLE keeper LOGIN PASSWORD 'x'; GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public, bastide TO keeper").await;
    let keeper = database.client_as("keeper", "x").await;
    let error = keeper.batch_execute(shop::DOWN_WATCH).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
    assert_eq!(database.query_one_text(ROWS).await, "5 4 61 12 65");
}

#[tokio::test]
async fn a_batch_of_crossings_is_recorded_and_cut_to_size() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    let crossing = Crossing {
        at: OffsetDateTime::UNIX_EPOCH,
        kind: CrossingKind::Header,
        who: Some(uuid(ADA)),
        method: "GET".to_owned(),
        route: "/".repeat(1000),
        merchant: None,
        request_id: "r".to_owned(),
    };
    assert_eq!(crossings::record(&pool, &vec![crossing; 600]).await.unwrap(), 500);
    let seen = "SELECT DISTINCT at = 'epoch', kind, who, length(route), merchant IS NULL, request_id, login FROM bastide.crossing";
    assert_eq!(database.query_rows(seen).await, [format!("t|header|{ADA}|200|t|r|bastide_app")]);
}

#[tokio::test]
async fn a_theme_is_read_with_care() {
    let (_server, database) = shop::migrated().await;
    let pool = shop::pool(&database, PoolConfig::default()).await;
    let lagoon = storefronts::of_tenant(&pool, &tenant(LAGOON)).await.unwrap();
    assert_eq!(lagoon.accent.unwrap().to_string(), "#0a7a5a");
    assert!(lagoon.tagline.unwrap().starts_with("From the water"));
    assert_eq!(storefronts::of_tenant(&pool, &tenant(HARBOUR)).await.unwrap().accent, None);
    let error = storefronts::of_tenant(&pool, &tenant("not a uuid")).await.unwrap_err();
    assert!(matches!(error, bastide_commerce::Error::Door(DoorError::MalformedTenant)), "{error}");
}
