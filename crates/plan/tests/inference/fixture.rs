//! Runs the scripts as the engine does: one REPEATABLE READ transaction, `bastide.run` set.

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_plan::{
    ColumnOrigin, TenantColumn, TenantRoot,
    inference::{Graph, assign_script, prelude},
};
use bastide_sql::{Ident, QualifiedName, Sql};
use bastide_testkit::Database;
use tokio_postgres::Client;

pub(crate) const QUARANTINE: &str = "-1";
pub(crate) const RUN: &str = "00000000-0000-0000-0000-000000000001";

/// What a run would have: schema `bastide` and a run's row.
pub(crate) async fn bootstrap(db: &Database) {
    db.execute(
        "DO $$ BEGIN IF to_regrole('bastide_owner') IS NULL THEN CREATE ROLE bastide_owner NOLOGIN BYPASSRLS; END IF; END $$",
    )
    .await;
    db.execute(include_str!("../../../engine/src/schema.sql")).await;
    db.execute(
        "INSERT INTO bastide.run (id, format, bastide, state, phase, plan)
         VALUES ('00000000-0000-0000-0000-000000000001', 1, 'test', 'running', 'assignment', '{}')",
    )
    .await;
}

/// Opens a transaction in which scripts of inference can run.
pub(crate) async fn begin(client: &Client) {
    let settings = prelude().into_iter().map(|setting| format!("{setting};")).collect::<String>();
    let begin =
        format!("BEGIN; {settings} SET LOCAL bastide.run = '{RUN}'; SET LOCAL statement_timeout = '2s'");
    client.batch_execute(&begin).await.unwrap_or_else(|error| panic!("{error:?}"));
}

/// Runs `statements` as one transaction and commits.
pub(crate) async fn run(db: &Database, statements: &[Sql]) -> Result<(), String> {
    let mut client = db.client().await;
    let transaction = client.transaction().await.unwrap();
    let mut all: Vec<String> = prelude().iter().map(ToString::to_string).collect();
    all.push("SET LOCAL bastide.run = '00000000-0000-0000-0000-000000000001'".to_owned());
    all.extend(statements.iter().map(ToString::to_string));
    for statement in &all {
        if let Err(error) = transaction.batch_execute(statement).await {
            let said = error.as_db_error().map(|db| format!("{} {}", db.code().code(), db.message()));
            return Err(format!("{}\n{statement}", said.unwrap_or_else(|| error.to_string())));
        }
    }
    transaction.commit().await.map_err(|error| error.to_string())
}

/// Runs each statement by itself, outside a transaction.
pub(crate) async fn alone(db: &Database, statements: &[Sql]) -> Result<(), String> {
    let client = db.client().await;
    client.batch_execute("SET bastide.run = '00000000-0000-0000-0000-000000000001'").await.unwrap();
    for statement in statements {
        if let Err(error) = client.batch_execute(statement.as_str()).await {
            let said = error.as_db_error().map(|db| format!("{} {}", db.code().code(), db.message()));
            return Err(format!("{}\n{statement}", said.unwrap_or_else(|| error.to_string())));
        }
    }
    Ok(())
}

pub(crate) fn name(text: &str) -> QualifiedName {
    text.parse().unwrap()
}

pub(crate) async fn catalog(db: &Database) -> Catalog {
    bastide_catalog::read(&mut db.client().await).await.unwrap()
}

/// `scoped`: tables and their tenant columns, which need not exist.
pub(crate) async fn graph(db: &Database, root: &str, key: &str, scoped: &[(&str, &str)]) -> Graph {
    let catalog = catalog(db).await;
    let root_name = name(root);
    let key = Ident::new(key).unwrap();
    let key_type = catalog.table(&root_name).unwrap().column(&key).unwrap().type_name.clone();
    let column = |column: &str, origin| TenantColumn {
        name: Ident::new(column).unwrap(),
        type_name: key_type.clone(),
        origin,
    };
    let mut tables: BTreeMap<QualifiedName, TenantColumn> =
        scoped.iter().map(|(table, own)| (name(table), column(own, ColumnOrigin::Reused))).collect();
    tables.insert(root_name.clone(), column(key.as_str(), ColumnOrigin::RootKey));
    let root = TenantRoot { table: root_name, key, key_type, new: false, first_tenant: None };
    Graph::build(&catalog, &root, &tables)
}

/// Every assignment as `relation key → tenant (kind: path)`, by relation and key.
pub(crate) async fn assigned(db: &Database, graph: &Graph) -> String {
    run(db, &assign_script(graph, Some(QUARANTINE), 1)).await.unwrap_or_else(|error| panic!("{error}"));
    let rows = db
        .query_rows(
            "SELECT a.relation || ' ' || a.key || ' → ' || coalesce(a.tenant, 'NULL') || ' (' || r.kind || ': ' || r.path || ')'
             FROM bastide.assignment a JOIN bastide.rule r ON r.run_id = a.run_id AND r.id = a.rule AND r.relation = a.relation
             ORDER BY a.relation, a.key",
        )
        .await;
    let recorded = db.query_one_text("SELECT count(*) FROM bastide.assignment").await;
    assert_eq!(rows.len().to_string(), recorded, "every assignment has its rule");
    rows.join("\n")
}
