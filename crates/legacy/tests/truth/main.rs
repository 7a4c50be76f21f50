//! Precision and coverage on real data. The truth is what inference says of the database as it came; then a share of what
//! it rests on is hidden, and inference is asked again.

mod fixture;
// The same measuring as of random worlds.
#[path = "../../../plan/tests/inference/measure.rs"]
mod measure;

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, KeyKind};
use bastide_plan::{
    Config, Declarations, RootChoice, TenantRoot,
    classify::{Classification, classify},
    inference::{Graph, assign_script},
};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, sql};
use bastide_testkit::{
    Database, Server,
    truth::{Scope, State, Tally, True, Visible, crossings, fixpoint, judge, print},
};
use tokio_postgres::Client;

use crate::measure::{answers, execute, recorded, run, survey_agrees, visible};

/// What tells the rows of a table apart, with or without a key.
fn number() -> Ident {
    Ident::constant("the row's \"number\"")
}

/// Per cent of the rows from which something is hidden, one database each.
const SHARES: [u32; 3] = [20, 50, 90];

struct Asked {
    seen: Visible,
    graph: Graph,
    said: Vec<State>,
}

/// Asks inference, and holds every answer to the evidence; the survey must count the same.
async fn ask(db: &Database, classes: &Classification) -> Asked {
    let mut client = db.client().await;
    let catalog = bastide_catalog::read(&mut client).await.unwrap();
    let graph = Graph::build(&catalog, &classes.root, &classes.scoped());
    let scopes: Vec<Scope> =
        classes.scoped().into_iter().map(|(table, column)| Scope { table, tenant: column.name }).collect();
    let seen = visible(&client, &scopes, &number(), &[]).await;
    let expected = fixpoint(&seen.own, &seen.pairs());
    survey_agrees(&client, &graph, &seen, &expected).await.unwrap_or_else(|error| panic!("{error}"));
    client
        .batch_execute(
            "TRUNCATE bastide.assigned, bastide.assigned_keyless, bastide.assigned_tenant, bastide.rule",
        )
        .await
        .unwrap();
    run(&client, &assign_script(&graph, Some(nobody(&classes.root)), 1)).await;
    let found = recorded(&client, &graph, &number(), 1).await;
    let said = answers(&seen, &found).unwrap_or_else(|error| panic!("{error}"));
    Asked { seen, graph, said }
}

fn nobody(root: &TenantRoot) -> &'static str {
    if root.key_type.as_str() == "uuid" { "00000000-0000-0000-0000-000000000000" } else { "-1" }
}

async fn classified(db: &Database, root: &str) -> Classification {
    let mut client = db.client().await;
    let catalog = bastide_catalog::read(&mut client).await.unwrap();
    let config = Config {
        root: RootChoice::Existing(root.parse().unwrap()),
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: BTreeSet::new(),
        exclude_tables: BTreeSet::new(),
        accept_defaults: true,
        declared: Declarations::default(),
        answers: BTreeMap::new(),
    };
    let survey = bastide_legacy::survey(&mut client, &catalog, &config, &|_| ()).await.unwrap();
    classify(&catalog, &config, &survey.usage).unwrap()
}

/// Partitions and inheritance children get the column from their parent, and share its numbers.
async fn give_numbers(client: &Client) {
    let tables = client.query(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bastide')
           AND n.nspname NOT LIKE 'pg\\_t%' AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)",
        &[],
    );
    for row in tables.await.unwrap() {
        let ident = |at| Ident::new(row.get::<_, String>(at)).unwrap();
        let table = QualifiedName::new(ident(0), ident(1));
        execute(client, &sql!("ALTER TABLE {} ADD {} bigserial", table, number())).await;
    }
}

/// Takes away, in a share of the rows, what real life loses: the tenant column's value, and references that may be NULL.
async fn hide(client: &Client, catalog: &Catalog, graph: &Graph, share: u32) {
    execute(client, &sql!("SET session_replication_role = replica")).await;
    let lost = |salt: &str| {
        let salt = Literal::text(format!("{salt}:{share}"));
        sql!("(hashtextextended({} || {}::text, 0) & 1023) * 100 < {} * 1024", salt, number(), share)
    };
    for node in graph.nodes.iter().filter(|node| node.scoped && !node.root) {
        let table = catalog.table(&node.table).unwrap();
        let in_key = |name: &Ident| {
            table.keys.iter().any(|key| key.kind == KeyKind::Primary && key.columns.contains(name))
        };
        let mut hidden: Vec<Vec<Ident>> = Vec::new();
        if let Some(column) = node.tenant.as_ref().filter(|name| !in_key(name)) {
            let holder = top(catalog, &node.table);
            execute(client, &sql!("ALTER TABLE {} ALTER {} DROP NOT NULL", holder, column)).await;
            hidden.push(vec![column.clone()]);
        }
        for edge in graph.edges.iter().filter(|edge| graph.nodes[edge.child].table == node.table) {
            let may = |name: &Ident| table.column(name).is_some_and(|column| !column.not_null);
            if edge.columns.iter().all(may) {
                hidden.push(edge.columns.clone());
            }
        }
        hidden.sort();
        hidden.dedup();
        for columns in hidden {
            let salt: String = columns.iter().map(Ident::as_str).collect();
            let nulls: Vec<Sql> = columns.iter().map(|column| sql!("{} = NULL", column)).collect();
            let update = sql!(
                "UPDATE ONLY {} SET {} WHERE {}",
                node.table,
                bastide_sql::join(nulls, ", "),
                lost(&salt)
            );
            execute(client, &update).await;
        }
    }
    execute(client, &sql!("RESET session_replication_role")).await;
}

/// The table whose partition this is, or itself.
fn top(catalog: &Catalog, name: &QualifiedName) -> QualifiedName {
    let parent = catalog.table(name).and_then(|table| table.parents.first());
    parent.map_or_else(|| name.clone(), |parent| top(catalog, parent))
}

/// One database per share; `name` is for the table that is printed. Also how many links crossed in the database as it
/// came: where none did, precision must be exactly 1.
async fn measured(name: &str, shares: &[u32], server: &Server, db: &Database, root: &str) -> (Tally, u64) {
    fixture::bootstrap(db).await;
    give_numbers(&db.client().await).await;
    let classes = classified(db, root).await;
    let as_it_came = ask(db, &classes).await;
    let crossing = crossings(&as_it_came.seen, &as_it_came.said).values().map(|(_, crossing)| crossing).sum();
    let truth: BTreeMap<_, _> = as_it_came.seen.places.iter().cloned().zip(as_it_came.said).collect();
    let mut tallies = Vec::new();
    for &share in shares {
        let copy = server.copy_of(db, &format!("hidden_{share}")).await;
        let mut client = copy.client().await;
        let catalog = bastide_catalog::read(&mut client).await.unwrap();
        hide(&client, &catalog, &as_it_came.graph, share).await;
        let now = ask(&copy, &classes).await;
        let expected = fixpoint(&now.seen.own, &now.seen.pairs());
        let judged = judge(&now.seen, &expected, &now.said, |place| match &truth[place] {
            State::One(tenant) => True::Tenant(tenant.clone()),
            State::Unknown | State::Conflict => True::Unknown,
        });
        tallies.push((format!("{name}, {share} % hidden"), judged.unwrap_or_else(|error| panic!("{error}"))));
    }
    print(&tallies.iter().map(|(name, tally)| (name.as_str(), tally)).collect::<Vec<_>>());
    let mut total = Tally::default();
    tallies.iter().for_each(|(_, tally)| total.add(tally));
    assert_eq!(total.covered, total.decidable, "coverage");
    assert!(total.assigned > 0, "nothing was assigned: {total:?}");
    assert!(crossing > 0 || total.right == total.assigned, "precision: {total:?}");
    (total, crossing)
}

#[tokio::test]
async fn chinook_by_customer() {
    let Some((server, db)) = bastide_testkit::legacy("chinook").await else { return };
    let (_, crossing) = measured("chinook by customer", &SHARES, &server, &db, "public.customer").await;
    assert_eq!(crossing, 0, "so precision was held to 1");
}

#[tokio::test]
async fn northwind_by_customers() {
    let Some((server, db)) = bastide_testkit::legacy("northwind").await else { return };
    let (_, crossing) = measured("northwind by customers", &SHARES, &server, &db, "public.customers").await;
    assert_eq!(crossing, 0, "so precision was held to 1");
}

/// A few of its payments name another customer than their rentals do.
#[tokio::test]
async fn sakila_by_customer() {
    let Some((server, db)) = bastide_testkit::legacy("sakila").await else { return };
    let (tally, crossing) =
        measured("sakila by customer", &SHARES[..2], &server, &db, "public.customer").await;
    assert!(crossing < 10 && tally.misled == 0 && tally.told < 10, "{crossing} links cross: {tally:?}");
}

/// No tenant boundary: the plan refuses this root. Whoever looks on must still hear of every mistake.
#[tokio::test]
async fn sakila_by_store_where_three_quarters_of_the_rentals_cross() {
    let Some((server, db)) = bastide_testkit::legacy("sakila").await else { return };
    let (_, crossing) = measured("sakila by store", &SHARES[1..2], &server, &db, "public.store").await;
    assert!(crossing > 12_000, "{crossing}");
}

/// The project's own shop, with the dirt its generator puts in: links that cross among it.
#[tokio::test]
async fn the_legacy_shop_by_merchants() {
    let server = bastide_testkit::server().await;
    let target = bastide_connect::Target::parse(&server.existing("postgres").url()).unwrap();
    let shop = bastide_demo::LegacyShop { seed: 7, scale: 0.05 };
    shop.create(&target, &Ident::constant("shop")).await.unwrap();
    let shop = server.existing("shop");
    let (tally, _) = measured("the legacy shop", &SHARES, &server, &shop, "public.merchants").await;
    assert!(tally.conflicts > 0, "the shop has rows that two merchants could claim: {tally:?}");
}
