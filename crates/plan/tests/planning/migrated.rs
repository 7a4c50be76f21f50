//! A plan for a database that its own plan has been run on is empty: what the steps leave is what planning looks for.

use std::collections::BTreeMap;

use bastide_plan::{Config, RootChoice, plan};
use bastide_sql::Ident;
use bastide_testkit::Database;

use crate::{run, survey};

fn config(root: RootChoice) -> Config {
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

async fn migrates(database: &Database, config: &Config) {
    let mut client = database.client().await;
    let before = bastide_catalog::read(&mut client).await.unwrap();
    let survey = survey::take(&client, &before, config).await;
    let first = plan(&before, &survey, config).unwrap();
    assert!(first.steps.len() > 20);

    run::prepare(&client).await;
    run::forward(&client, &first).await;

    let mut after = bastide_catalog::read(&mut client).await.unwrap();
    let again = plan(&after, &survey, config).unwrap();
    assert_eq!(again.steps.iter().map(|step| step.id.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    for (name, column) in first.tables.iter().filter_map(|(name, d)| Some((name, d.tenant_column.as_ref()?)))
    {
        let found = after.table(name).and_then(|table| table.column(&column.name)).expect("a tenant column");
        assert!(found.not_null, "{name}.{}", column.name);
    }
    let mut projected = before;
    for step in &first.steps {
        step.step.apply(&mut projected);
    }
    // The role is the engine's.
    after.roles.remove(&Ident::constant("bastide_owner"));
    let differences = projected.diff(&after);
    assert!(differences.is_empty(), "the projection is not what came of it:\n{}", differences.join("\n"));
}

fn existing(name: &str) -> Config {
    config(RootChoice::Existing(name.parse().unwrap()))
}

fn new(name: &str) -> Config {
    config(RootChoice::New(name.parse().unwrap()))
}

#[tokio::test]
async fn chinook_by_customer() {
    let Some((_server, database)) = bastide_testkit::legacy("chinook").await else { return };
    migrates(&database, &existing("public.customer")).await;
}

#[tokio::test]
async fn northwind_by_customer() {
    let Some((_server, database)) = bastide_testkit::legacy("northwind").await else { return };
    migrates(&database, &existing("public.customers")).await;
}

#[tokio::test]
async fn northwind_as_one_tenant() {
    let Some((_server, database)) = bastide_testkit::legacy("northwind").await else { return };
    migrates(&database, &new("public.tenants")).await;
}

#[tokio::test]
async fn sakila_as_one_tenant() {
    let Some((_server, database)) = bastide_testkit::legacy("sakila").await else { return };
    migrates(&database, &new("public.tenants")).await;
}

#[tokio::test]
async fn a_shop_with_everything_odd() {
    let server = bastide_testkit::server().await;
    let database = server.database("odd").await;
    database.execute(include_str!("odd.sql")).await;
    migrates(&database, &existing("\"The Shop\".\"Merchants\"")).await;
}

#[tokio::test]
async fn a_shop_with_everything_odd_as_one_tenant() {
    let server = bastide_testkit::server().await;
    let database = server.database("odd").await;
    database.execute(include_str!("odd.sql")).await;
    migrates(&database, &new("\"The Shop\".tenants")).await;
}
