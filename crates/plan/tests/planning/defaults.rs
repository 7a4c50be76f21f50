//! With `--accept-defaults` nothing stays open for the databases we promise that for: no key of theirs has to be accepted.

use std::collections::BTreeMap;

use bastide_plan::{Config, RootChoice, plan};
use bastide_sql::Ident;
use bastide_testkit::Database;

use crate::survey;

fn accepting(root: RootChoice) -> Config {
    Config {
        root,
        app_role: Ident::constant("bastide_app"),
        exclude_schemas: Default::default(),
        exclude_tables: Default::default(),
        accept_defaults: true,
        declared: bastide_plan::Declarations::default(),
        answers: BTreeMap::new(),
    }
}

async fn nothing_is_open(database: &Database, root: RootChoice) {
    let config = accepting(root);
    let mut client = database.client().await;
    let catalog = bastide_catalog::read(&mut client).await.unwrap();
    let survey = survey::take(&client, &catalog, &config).await;
    let plan = plan(&catalog, &survey, &config).unwrap();
    let open: Vec<&str> = plan.open().map(|question| question.id.as_str()).collect();
    assert_eq!(open, Vec::<&str>::new());
    assert!(!plan.questions.iter().any(|question| question.id.starts_with("key:")));
}

#[tokio::test]
async fn the_databases_of_others() {
    let existing = |name: &str| RootChoice::Existing(name.parse().unwrap());
    let new = || RootChoice::New("public.tenants".parse().unwrap());
    for (name, roots) in [
        ("sakila", vec![new()]),
        ("northwind", vec![existing("public.customers"), new()]),
        ("chinook", vec![existing("public.customer")]),
    ] {
        let Some((_server, database)) = bastide_testkit::legacy(name).await else { continue };
        for root in roots {
            nothing_is_open(&database, root).await;
        }
    }
}

#[tokio::test]
async fn our_own_legacy_shop() {
    let server = bastide_testkit::server().await;
    let database = server.database("shop").await;
    database.execute("CREATE ROLE shop_owner NOLOGIN; CREATE ROLE shop_legacy LOGIN").await;
    database.execute(include_str!("../../../../fixtures/legacy/shop/schema.sql")).await;
    nothing_is_open(&database, RootChoice::Existing("public.merchants".parse().unwrap())).await;
}
