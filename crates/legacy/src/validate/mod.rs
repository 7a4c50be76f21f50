//! After an upgrade: does every row have a tenant, its parents' tenant, and evidence for it; and is nothing lost?
//!
//! One file per check. All of them look at one snapshot, in a transaction that is rolled back.

mod evidence;
mod keys;
mod links;
mod sums;
mod tenants;

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_plan::{
    Class, Plan,
    inference::{self, Graph, Node},
};
use bastide_record::{Looked, LookedState, RowsCheck, RowsVerdict};
use bastide_sql::{Ident, QualifiedName, Sql, join, sql};
use tokio_postgres::{Client, Row, Transaction};

use crate::{SurveyError, error::LOCK_TIMEOUT_SECONDS};

/// What the journal knows of the run whose rows are looked at.
#[derive(Clone, Debug)]
pub struct Upgrade<'a> {
    /// The run's id.
    pub run: String,
    pub plan: &'a Plan,
    /// Nothing after assignment has begun, so `legacy upgrade` can still look for rows without a tenant.
    pub only_upgraded: bool,
    /// What cutover was to settle is settled.
    pub cut_over: bool,
    /// The evidence was discarded.
    pub finished: bool,
    /// Each table's totals before the run.
    pub before: BTreeMap<QualifiedName, Totals>,
    /// Rows that backfills filled, by table.
    pub filled: BTreeMap<QualifiedName, u64>,
    /// Nobody wrote since the run began: totals that differ are a failure.
    pub exact: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub rows: u64,
    /// Exact, as the server prints them without trailing zeros.
    pub sums: Vec<(Ident, String)>,
}

/// Reads, and changes nothing.
///
/// # Errors
/// When a table cannot be read, or a lock is in the way for five seconds.
pub async fn validate(
    client: &mut Client,
    catalog: &Catalog,
    upgrade: &Upgrade<'_>,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<RowsVerdict, SurveyError> {
    let what = "begin to validate";
    let taken_at = time::OffsetDateTime::now_utc();
    let transaction = client.transaction().await.map_err(SurveyError::during(what))?;
    let graph = graph(catalog, upgrade.plan);
    let eye = Eye { transaction, graph, catalog, upgrade };
    for statement in inference::prelude() {
        eye.execute(&statement, what).await?;
    }
    eye.execute(&sql!("SET LOCAL lock_timeout = '{}s'", LOCK_TIMEOUT_SECONDS), what).await?;
    eye.execute(&inference::path(&eye.graph), what).await?;
    let run = bastide_sql::Literal::text(upgrade.run.as_str());
    eye.execute(&sql!("SELECT set_config('bastide.run', {}, true)", run), what).await?;
    let mut checks = Vec::new();
    let mut add = |id: &str, claim: &str, looked| {
        checks.push(RowsCheck { id: id.to_owned(), claim: claim.to_owned(), looked });
    };
    progress("is any row without a tenant?");
    add("tenants", "every row of a scoped table has a tenant that there is", tenants::check(&eye).await?);
    progress("does any reference join two tenants?");
    add("links", "no row's tenant is another than that of a row it references", links::check(&eye).await?);
    progress("do the tenants add up to what was there before?");
    add("sums", "rows and sums of all tenants add up to the totals before", sums::check(&eye).await?);
    progress("are keys unique within each tenant?");
    add("keys", "what the plan makes unique per tenant is", keys::check(&eye).await?);
    progress("has every assignment its evidence?");
    add(
        "evidence",
        "every row that the run filled has evidence for its tenant",
        evidence::check(&eye).await?,
    );
    eye.transaction.rollback().await.map_err(SurveyError::during("end the validation"))?;
    Ok(RowsVerdict {
        run: upgrade.run.clone(),
        bastide: env!("CARGO_PKG_VERSION").to_owned(),
        database: catalog.server.database.clone(),
        server_version: catalog.server.version,
        taken_at,
        exact: upgrade.exact,
        checks,
    })
}

fn graph(catalog: &Catalog, plan: &Plan) -> Graph {
    let scoped = plan
        .tables_of(Class::Scoped)
        .filter_map(|(table, decision)| Some((table.clone(), decision.tenant_column.clone()?)))
        .collect();
    Graph::build(catalog, &plan.root, &scoped).declare(catalog, &plan.config.declared)
}

/// What every check looks with.
struct Eye<'a> {
    transaction: Transaction<'a>,
    graph: Graph,
    catalog: &'a Catalog,
    upgrade: &'a Upgrade<'a>,
}

impl Eye<'_> {
    async fn execute(&self, statement: &Sql, what: &str) -> Result<(), SurveyError> {
        self.transaction.batch_execute(statement.as_str()).await.map_err(SurveyError::during(what))
    }

    async fn row(&self, query: &Sql, what: &str) -> Result<Row, SurveyError> {
        self.transaction.query_one(query.as_str(), &[]).await.map_err(SurveyError::during(what))
    }

    /// Rows of one text column.
    async fn samples(&self, query: &Sql, what: &str) -> Result<Vec<String>, SurveyError> {
        let rows = self.transaction.query(query.as_str(), &[]).await.map_err(SurveyError::during(what))?;
        rows.iter().map(|row| row.try_get(0).map_err(SurveyError::during(what))).collect()
    }

    /// Tables that hold scoped rows, the root's own aside, and their tenant columns.
    fn scoped(&self) -> impl Iterator<Item = (usize, &Node, &Ident)> {
        let nodes = self.graph.nodes.iter().enumerate();
        nodes
            .filter(|(_, node)| node.scoped && !node.root)
            .filter_map(|(n, node)| Some((n, node, node.tenant.as_ref()?)))
    }
}

/// How a person finds row `c` again.
fn shown(node: &Node) -> Sql {
    let columns = if node.key.is_empty() { &node.original_columns } else { &node.key };
    sql!(
        "left(concat_ws(', ', {}), 100)",
        join(columns.iter().map(|column| sql!("c.{}::text", column)), ", ")
    )
}

fn number(row: &Row, at: usize, what: &str) -> Result<u64, SurveyError> {
    row.try_get::<_, i64>(at).map(i64::unsigned_abs).map_err(SurveyError::during(what))
}

fn looked(object: impl ToString, state: LookedState, rows: u64, message: String) -> Looked {
    Looked { object: object.to_string(), state, rows, message, samples: Vec::new() }
}
