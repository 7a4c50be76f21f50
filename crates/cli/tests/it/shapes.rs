//! Schemas that are hard in one way each (`fixtures/legacy/shapes`), there and back, while a legacy login writes.

use bastide_testkit::{Database, Server, server};

use crate::{
    bastide::Bastide,
    there_and_back::{Meanwhile, there_and_back, there_and_back_with_writes},
};

/// A legacy login that may do everything with rows, in every schema there is.
const SELLER: &str = "DO $$ DECLARE s name; BEGIN
    FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO seller', s);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO seller', s);
        EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO seller', s);
    END LOOP; END $$";

pub(crate) async fn loaded(fixture: &str) -> (Server, Database) {
    let server = server().await;
    let db = server.database("shapes").await;
    db.execute("CREATE ROLE seller LOGIN PASSWORD 'seller'").await;
    db.execute(fixture).await;
    db.execute(SELLER).await;
    (server, db)
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../fixtures/legacy/shapes/", $name, ".sql"))
    };
}

const KEY_TYPES: [&str; 8] =
    ["by_serial", "by_identity", "by_bigint", "by_varchar", "by_text", "by_uuid", "by_domain", "by_numeric"];

/// The other schemas of the fixture are left out, and must be left alone.
async fn key_type(schema: &str, writes: &str, settled: &[(&str, &str)]) {
    let (_server, db) = loaded(fixture!("key_types")).await;
    let root = format!("{schema}.shop");
    let mut arguments = vec!["--tenant-root", root.as_str()];
    for other in KEY_TYPES.iter().filter(|other| **other != schema) {
        arguments.extend(["--exclude-schema", *other]);
    }
    let written = format!("SELECT count(*)::text FROM {schema}.sale WHERE note = 'new'");
    let unwrite = format!("DELETE FROM {schema}.sale WHERE note = 'new'");
    let meanwhile =
        Meanwhile { login: "seller", writes, settled, cut_over: &[], written: &written, unwrite: &unwrite };
    there_and_back_with_writes(&db, &arguments, meanwhile).await;
}

#[tokio::test]
async fn serial_keys() {
    let writes = "INSERT INTO by_serial.sale (shop, note) VALUES (2, 'new'), (NULL, 'new')";
    let settled =
        ("SELECT string_agg(shop::text, ',' ORDER BY shop) FROM by_serial.sale WHERE note = 'new'", "-1,2");
    key_type("by_serial", writes, &[settled]).await;
}

#[tokio::test]
async fn identity_keys_that_are_always_generated() {
    let writes = "INSERT INTO by_identity.sale (shop, note) VALUES (2, 'new'), (NULL, 'new')";
    let settled =
        ("SELECT string_agg(shop::text, ',' ORDER BY shop) FROM by_identity.sale WHERE note = 'new'", "-1,2");
    key_type("by_identity", writes, &[settled]).await;
}

#[tokio::test]
async fn bigint_keys_from_the_least_to_the_most_where_minus_one_is_taken() {
    let writes = "INSERT INTO by_bigint.sale (id, shop, note) VALUES (1000, -9223372036854775808, 'new'), (1001, -1, 'new')";
    let settled = ("SELECT count(DISTINCT shop)::text FROM by_bigint.sale WHERE note = 'new'", "2");
    key_type("by_bigint", writes, &[settled]).await;
}

#[tokio::test]
async fn varchar_keys_too_short_for_the_word_quarantine() {
    let writes = "INSERT INTO by_varchar.sale VALUES (1000, 'd''', 'new')";
    let settled = ("SELECT shop FROM by_varchar.sale WHERE note = 'new'", "d'");
    key_type("by_varchar", writes, &[settled]).await;
}

#[tokio::test]
async fn text_keys_of_any_content() {
    let writes = "INSERT INTO by_text.sale SELECT 1000 + row_number() OVER (), key, 'new' FROM by_text.shop WHERE key ~ 'quoted|lead|break'";
    let settled = ("SELECT count(DISTINCT shop)::text FROM by_text.sale WHERE note = 'new'", "3");
    key_type("by_text", writes, &[settled]).await;
}

#[tokio::test]
async fn uuid_keys() {
    let writes =
        "INSERT INTO by_uuid.sale (shop, note) SELECT id, 'new' FROM by_uuid.shop WHERE name <> 'quarantine'";
    let settled = ("SELECT count(DISTINCT shop)::text FROM by_uuid.sale WHERE note = 'new'", "4");
    key_type("by_uuid", writes, &[settled]).await;
}

#[tokio::test]
async fn keys_of_a_domain_that_has_no_number_for_a_quarantine() {
    let writes = "INSERT INTO by_domain.sale VALUES (1000, 2, 'new'), (1001, NULL, 'new')";
    let settled = ("SELECT count(*)::text FROM by_domain.sale WHERE note = 'new' AND shop IS NULL", "1");
    key_type("by_domain", writes, &[settled]).await;
}

#[tokio::test]
async fn numeric_keys() {
    let writes = "INSERT INTO by_numeric.sale VALUES (1000, 1.5, 'new')";
    let settled = ("SELECT shop::text FROM by_numeric.sale WHERE note = 'new'", "1.50");
    key_type("by_numeric", writes, &[settled]).await;
}

async fn family(fixture: &str, root: &str, meanwhile: Meanwhile<'_>) {
    let (_server, db) = loaded(fixture).await;
    there_and_back_with_writes(&db, &["--tenant-root", root], meanwhile).await;
}

#[tokio::test]
async fn names_that_must_be_quoted() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: r#"INSERT INTO "a.b""c'd"."select" VALUES (1000, 2, 'new'); INSERT INTO "order".item VALUES (1000, 'x')"#,
        settled: &[(
            r#"SELECT (s.tenant_id = u."from")::text FROM "a.b""c'd"."select" s JOIN "order"."user" u ON u."order" = s."$1" WHERE s." " = 1000"#,
            "true",
        )],
        cut_over: &[],
        written: r#"SELECT count(*)::text FROM "a.b""c'd"."select" WHERE " " = 1000"#,
        unwrite: r#"DELETE FROM "a.b""c'd"."select" WHERE " " = 1000; DELETE FROM "order".item WHERE item = 1000"#,
    };
    let meanwhile = Meanwhile { writes: meanwhile.writes.split(';').next().unwrap(), ..meanwhile };
    family(fixture!("names"), r#""order"."Mixed ""Case"".Shop""#, meanwhile).await;
}

#[tokio::test]
async fn one_new_tenant_whose_table_must_be_quoted() {
    let (_server, db) = loaded(fixture!("names")).await;
    there_and_back(&db, &["--new-tenant-root", r#""a.b""c'd"."My ""Tenants""""#]).await;
}

#[tokio::test]
async fn composite_keys_and_references_of_every_form() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO shelf VALUES ('S2', 1, 'new'); INSERT INTO box VALUES (1000, 'new', 1, 'S2'); INSERT INTO parcel VALUES (1000, 1, 'S2', 1000);
            INSERT INTO letter VALUES (1000, 'c4@example.com', 'L4'); INSERT INTO receipt VALUES (1000, 'T1'); INSERT INTO transfer VALUES (1000, 4, 10)",
        settled: &[
            ("SELECT tenant_id::text FROM parcel WHERE id = 1000", "2"),
            ("SELECT tenant_id::text FROM letter WHERE id = 1000", "2"),
            ("SELECT tenant_id::text FROM transfer WHERE id = 1000", "2"),
            ("SELECT count(DISTINCT tenant_id)::text FROM referral", "3"),
        ],
        cut_over: &[
            (
                "BEGIN; INSERT INTO branch (shop_code, number, tenant_id) VALUES ('S1', 99, 1);
                 INSERT INTO parcel (id, branch, shop_code, tenant_id) VALUES (2000, 99, 'S1', 1); DELETE FROM branch WHERE number = 99;
                 SELECT branch IS NULL AND shop_code IS NULL AND tenant_id = 1 FROM parcel WHERE id = 2000; ROLLBACK",
                "t",
            ),
            ("BEGIN; UPDATE customer SET email = 'z' WHERE id = 5; SELECT tenant_id FROM letter WHERE email = 'z'; ROLLBACK", "3"),
        ],
        written: "SELECT count(*)::text FROM parcel WHERE id = 1000",
        unwrite: "DELETE FROM parcel WHERE id = 1000; DELETE FROM box WHERE id = 1000; DELETE FROM shelf WHERE label = 'new';
            DELETE FROM letter WHERE id = 1000; DELETE FROM receipt WHERE id = 1000; DELETE FROM transfer WHERE id = 1000",
    };
    family(fixture!("references"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn cycles_and_what_happens_when_a_row_goes() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "BEGIN; INSERT INTO category VALUES (1000, NULL, 4, 1001), (1001, NULL, 1000, 1000); COMMIT; INSERT INTO product (id, category) VALUES (1000, 1001); INSERT INTO photo VALUES (1000, 1000);
            UPDATE product SET photo = 1000, replaced_by = 1 WHERE id = 1000;
            BEGIN; INSERT INTO a VALUES (1000, NULL, 1000); INSERT INTO c VALUES (1000, 1000); INSERT INTO b VALUES (1000, 1000); UPDATE a SET b = 1000 WHERE id = 1000; COMMIT",
        settled: &[
            ("SELECT string_agg(shop_id::text, ',') FROM category WHERE id >= 1000", "1,1"),
            ("SELECT tenant_id::text FROM photo WHERE id = 1000", "1"),
            ("SELECT tenant_id::text FROM a WHERE id = 1000", "1"),
            ("SELECT tenant_id::text FROM b WHERE id = 1000", "1"),
        ],
        cut_over: &[
            (
                "BEGIN; DELETE FROM photo WHERE id = 5; DELETE FROM product WHERE id = 5;
                 SELECT product IS NULL AND category = 5 AND tenant_id = 2 FROM mark WHERE id = 5; ROLLBACK",
                "t",
            ),
            (
                "BEGIN; DELETE FROM photo WHERE id = 8; DELETE FROM product WHERE id = 8;
                 SELECT replaced_by IS NULL AND tenant_id = 2 FROM product WHERE id = 11; ROLLBACK",
                "t",
            ),
        ],
        written: "SELECT count(*)::text FROM product WHERE id = 1000",
        unwrite: "UPDATE product SET photo = NULL WHERE id = 1000; DELETE FROM photo WHERE id = 1000; SET CONSTRAINTS ALL DEFERRED; DELETE FROM a WHERE id >= 1000; DELETE FROM b WHERE id = 1000;
            DELETE FROM c WHERE id >= 1000; DELETE FROM product WHERE id = 1000; DELETE FROM category WHERE id >= 1000",
    };
    family(fixture!("cycles"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn columns_of_every_type() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO leased VALUES (1000, 4, 7); INSERT INTO mailed VALUES ('M4@example.COM', NULL)",
        settled: &[(
            "SELECT l.bastide_tenant_id = t.shop_id FROM leased l JOIN thing t ON t.id = l.thing WHERE l.id = 1000",
            "t",
        )],
        cut_over: &[],
        written: "SELECT count(*)::text FROM leased WHERE id = 1000",
        unwrite: "DELETE FROM leased WHERE id = 1000",
    };
    let meanwhile = Meanwhile { writes: "INSERT INTO leased VALUES (1000, 4, 7)", ..meanwhile };
    family(fixture!("types"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn partitioned_tables() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO sale VALUES (1000, 2, '2020-06-01', 'new'), (1001, 3, '2022-06-01', 'new'), (1002, 1, '2030-06-01', 'new');
            INSERT INTO line VALUES (1000, 1000, '2020-06-01', 'a'), (1001, 1001, '2022-06-01', 'z'); INSERT INTO archive.sale_2020 VALUES (1003, 1, '2020-06-01', 'new')",
        settled: &[("SELECT string_agg(tenant_id::text, ',' ORDER BY id) FROM line WHERE id >= 1000", "2,3")],
        cut_over: &[],
        written: "SELECT count(*)::text FROM sale WHERE id >= 1000",
        unwrite: "DELETE FROM line WHERE id >= 1000; DELETE FROM sale WHERE id >= 1000",
    };
    family(fixture!("partitions"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn partitions_of_partitions() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO sale VALUES (1000, 2, '2024-06-01', 'north', 'new'), (1001, NULL, '2022-06-01', NULL, 'new');
            INSERT INTO line VALUES (1000, '2024-06-01', 2, 2, 'new'), (1001, '2024-06-01', 3, 3, 'new'); INSERT INTO line_2024 (sale, day, part, shop_id, code) VALUES (1002, '2024-06-02', 1, 1, 'new');
            INSERT INTO mark VALUES (1000, 1001, '2024-06-01', 3); INSERT INTO parcel VALUES (1000, 1000, '2024-06-01', 2); UPDATE sale SET sold = '2022-06-02' WHERE id = 1000",
        settled: &[
            ("SELECT string_agg(shop_id::text, ',' ORDER BY id) FROM sale WHERE id >= 1000", "2,-1"),
            ("SELECT note || tableoid::regclass FROM sale WHERE id = 1000", "new+\"Sale Rest\""),
            ("SELECT tenant_id::text FROM mark WHERE id = 1000", "3"),
            ("SELECT tenant_id::text FROM parcel WHERE id = 1000", "2"),
        ],
        cut_over: &[(
            "SELECT bool_and(relrowsecurity AND relforcerowsecurity)::text || count(*) FROM pg_class
             WHERE relname ~ '^(sale|Sale|line|parcel)' AND relkind IN ('r', 'p')",
            "true18",
        )],
        written: "SELECT count(*)::text FROM sale WHERE id >= 1000",
        unwrite: "DELETE FROM mark WHERE id >= 1000; DELETE FROM parcel WHERE id >= 1000; DELETE FROM line WHERE sale >= 1000; DELETE FROM sale WHERE id >= 1000",
    };
    family(fixture!("levels"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn inheritance() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO reminder VALUES (1000, 2, 'new', 1, 1, 1); INSERT INTO document VALUES (1001, NULL, 'new');
            INSERT INTO stamped_note VALUES (1000, 4)",
        settled: &[
            ("SELECT string_agg(shop_id::text, ',' ORDER BY id) FROM document WHERE title = 'new'", "2,-1"),
            ("SELECT n.tenant_id = d.shop_id FROM note n JOIN document d ON d.id = n.document WHERE n.id = 1000", "t"),
        ],
        cut_over: &[],
        written: "SELECT count(*)::text FROM document WHERE title = 'new'",
        unwrite: "DELETE FROM document WHERE title = 'new'; DELETE FROM note WHERE id = 1000",
    };
    family(fixture!("inheritance"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn equal_rows_and_no_rows() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO hit VALUES (1, '/new', NULL), (1, '/new', NULL), (NULL, '/new', NULL); INSERT INTO empty VALUES (1, 1)",
        settled: &[
            ("SELECT count(DISTINCT tenant_id)::text FROM hit WHERE path = '/new'", "2"),
            ("SELECT count(*)::text FROM hit WHERE tenant_id IS NULL", "0"),
        ],
        cut_over: &[],
        written: "SELECT count(*)::text FROM hit WHERE path = '/new'",
        unwrite: "DELETE FROM hit WHERE path = '/new'; DELETE FROM empty",
    };
    family(fixture!("rows"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn one_tenant_whose_key_is_empty() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO customer VALUES (1000, '', 'new'); INSERT INTO letter VALUES (1000, 1000)",
        settled: &[("SELECT tenant_id = '' FROM letter WHERE id = 1000", "t")],
        cut_over: &[],
        written: "SELECT count(*)::text FROM customer WHERE id = 1000",
        unwrite: "DELETE FROM letter WHERE id = 1000; DELETE FROM customer WHERE id = 1000",
    };
    family(fixture!("one_tenant"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn no_tenants() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO customer VALUES (1000, NULL, 'new')",
        settled: &[("SELECT shop_id::text FROM customer WHERE id = 1000", "-1")],
        cut_over: &[],
        written: "SELECT count(*)::text FROM customer WHERE id = 1000",
        unwrite: "DELETE FROM customer WHERE id = 1000",
    };
    family(fixture!("no_tenants"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn a_root_without_a_row_is_said_to_have_none() {
    let (_server, db) = loaded(fixture!("no_tenants")).await;
    let plan = Bastide::on(db.url())
        .run(&["rls", "plan", "--accept-defaults", "--tenant-root", "public.shop"])
        .expect(0);
    assert!(plan.stdout.contains("public.shop has no row, so there is no tenant yet"), "{}", plan.stdout);
    assert!(plan.stdout.contains("20 nothing reaches"), "{}", plan.stdout);
}

#[tokio::test]
async fn views_rules_functions_and_their_owners() {
    let meanwhile = Meanwhile {
        login: "warehouse",
        writes: "INSERT INTO stock.movement VALUES (1000, 4, 1); UPDATE stock.movement SET moved = 2 WHERE id = 1000",
        settled: &[(
            "SELECT m.tenant_id = s.shop_id FROM stock.movement m JOIN sales.sale s ON s.id = m.sale WHERE m.id = 1000",
            "t",
        )],
        cut_over: &[],
        written: "SELECT count(*)::text FROM stock.movement WHERE id = 1000",
        unwrite: "DELETE FROM stock.movement WHERE id = 1000; DELETE FROM stock.log WHERE line = 'moved 1000'",
    };
    family(fixture!("views"), "sales.shop", meanwhile).await;
}

#[tokio::test]
async fn details_that_are_easily_lost() {
    let meanwhile = Meanwhile {
        login: "clerk",
        writes: "INSERT INTO visit VALUES (1000, 4, 'new')",
        settled: &[(
            "SELECT v.tenant_id = c.shop_id FROM visit v JOIN customer c ON c.id = v.customer WHERE v.id = 1000",
            "t",
        )],
        cut_over: &[],
        written: "SELECT count(*)::text FROM visit WHERE id = 1000",
        unwrite: "DELETE FROM visit WHERE id = 1000",
    };
    family(fixture!("details"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn keys_in_any_case() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO sale VALUES (2000, 'BRANCH7', 'shop4', 'new'), (2001, NULL, 'sHOP2', 'new')",
        settled: &[(
            "SELECT string_agg(s.tenant_id::text, ',' ORDER BY s.id) FROM sale s WHERE s.note = 'new'",
            "4,2",
        )],
        cut_over: &[(
            "SELECT string_agg(h.relation || ' ' || h.key, '; ' ORDER BY h.relation) FROM bastide.held h",
            r#""public"."line" ["branch200", "400"]; "public"."sale" ["400"]"#,
        )],
        written: "SELECT count(*)::text FROM sale WHERE note = 'new'",
        unwrite: "DELETE FROM sale WHERE note = 'new'",
    };
    family(fixture!("collations"), "public.shop", meanwhile).await;
}

/// What they write down of the run is kept, as whatever else was written meanwhile.
#[tokio::test]
async fn event_triggers_that_write_down_every_change() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO sale VALUES (1000, 2, 'new'); INSERT INTO line VALUES (1000, 1000)",
        settled: &[
            ("SELECT tenant_id::text FROM line WHERE id = 1000", "2"),
            (
                "SELECT string_agg(DISTINCT done_by, ',') FROM change WHERE application = 'bastide'",
                "postgres",
            ),
        ],
        cut_over: &[(
            "SELECT bool_and(n > 0) FROM (SELECT count(*) FILTER (WHERE application = 'bastide') AS n FROM change GROUP BY event) e",
            "t",
        )],
        written: "SELECT count(*)::text FROM sale WHERE note = 'new'",
        unwrite: "DELETE FROM line WHERE id = 1000; DELETE FROM sale WHERE id = 1000; DELETE FROM change WHERE application = 'bastide'",
    };
    family(fixture!("events"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn publications_and_a_subscription() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO sale VALUES (1000, 2, 'new'); INSERT INTO line VALUES (1000, 1000, 'new'); INSERT INTO hit VALUES (1000, '/new'); UPDATE hit SET path = '/newer' WHERE path = '/new'",
        settled: &[(
            "SELECT l.tenant_id = 2 AND h.tenant_id = 2 FROM line l, hit h WHERE l.id = 1000 AND h.sale = 1000",
            "t",
        )],
        cut_over: &[(
            "SELECT string_agg(DISTINCT pubname || ':' || array_to_string(attnames, ','), ' ') FROM pg_publication_tables WHERE tablename IN ('sale', 'line') AND pubname <> 'everything'",
            "picked:id picked:id,note",
        )],
        written: "SELECT count(*)::text FROM sale WHERE note = 'new'",
        unwrite: "DELETE FROM hit WHERE sale = 1000; DELETE FROM line WHERE id = 1000; DELETE FROM sale WHERE id = 1000",
    };
    family(fixture!("replication"), "public.shop", meanwhile).await;
}

/// Whatever fires for a write of ours leaves a line, which the comparison after rollback finds.
#[tokio::test]
async fn triggers_of_every_kind_and_views_behind_barriers() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO noted_new VALUES (1000, 4, 'new'), (1001, 5, 'new'); UPDATE noted_new SET note = 'newer' WHERE note = 'new';
            INSERT INTO visit VALUES (4, 1, 'new'), (5, 2, 'new'); INSERT INTO letter VALUES (1000, 4, 'new'); DELETE FROM letter WHERE id = 1000",
        settled: &[
            ("SELECT string_agg(tenant_id::text, ',' ORDER BY id) FROM sale WHERE id >= 1000", "1,2"),
            ("SELECT count(*)::text FROM known_sale WHERE note = 'newer'", "2"),
            ("SELECT count(*)::text FROM fired WHERE application = 'bastide'", "0"),
            (
                "SELECT string_agg(name || '=' || coalesce(rows::text, '') || '*' || times, ', ' ORDER BY name, rows)
                 FROM (SELECT name, rows, count(*) AS times FROM fired WHERE name ~ '^(sale|visit|letter)' GROUP BY 1, 2) f",
                "letter added=1*1, letter begins=*2, letter gone=1*1, letter row=1*2, sale added=2*1, sale begins=*2, sale changed=4*1, sale note=1*2, sale row=1*4, sale row of many=4*2, visit added=2*1, visit begins=*1, visit row=1*2",
            ),
        ],
        cut_over: &[
            ("SELECT count(*)::text FROM fired WHERE application = 'bastide'", "0"),
            ("SELECT string_agg(relation, ',') FROM bastide.held", "\"public\".\"sale\""),
            ("SELECT count(*)::text FROM sale WHERE updated_at > '2020-01-01' AND id < 1000", "0"),
        ],
        written: "SELECT count(*)::text FROM sale WHERE note = 'newer'",
        unwrite: "DELETE FROM sale WHERE id >= 1000; DELETE FROM visit WHERE note = 'new'; DELETE FROM fired WHERE application <> 'bastide'",
    };
    family(fixture!("triggers"), "public.shop", meanwhile).await;
}

#[tokio::test]
async fn foreign_tables_beside_the_rest() {
    let meanwhile = Meanwhile {
        login: "seller",
        writes: "INSERT INTO sale VALUES (1000, 2, 'new'); INSERT INTO line VALUES (1000, 1000)",
        settled: &[
            ("SELECT tenant_id::text FROM line WHERE id = 1000", "2"),
            (
                "SELECT bool_or(has_table_privilege('bastide_app', r, 'SELECT'))::text FROM unnest('{rates,far_sale,all_sales}'::text[]) r",
                "false",
            ),
        ],
        cut_over: &[],
        written: "SELECT count(*)::text FROM sale WHERE note = 'new'",
        unwrite: "DELETE FROM line WHERE id = 1000; DELETE FROM sale WHERE id = 1000",
    };
    family(fixture!("foreign"), "public.shop", meanwhile).await;
}
