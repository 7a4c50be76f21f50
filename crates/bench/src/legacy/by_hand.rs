//! What somebody who knows the schema would write: one `UPDATE … FROM` per reference, parents first.

use std::time::Instant;

use anyhow::Context;
use bastide_connect::Target;
use bastide_sql::{Ident, Sql, sql};

use super::shape::Case;

/// Seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByHand {
    /// Columns, updates, and the proof that no row was left out.
    pub(crate) whole: f64,
    pub(crate) updates: f64,
    /// For as long rows stay locked.
    pub(crate) longest_update: f64,
}

pub(crate) async fn fill(target: &Target, case: Case) -> anyhow::Result<ByHand> {
    let client = target.connect("bastide bench").await?;
    let mut took = ByHand::default();
    for hop in case.hops() {
        let (table, parent) = (Ident::constant(hop.table), Ident::constant(hop.parent));
        let add = sql!("ALTER TABLE {} ADD COLUMN tenant_id bigint", table);
        took.whole += run(&client, &add).await?;
        let update = sql!(
            "UPDATE {} AS c SET tenant_id = p.{} FROM {} AS p WHERE p.id = c.parent_id",
            table,
            case.tenant_column(hop.parent),
            parent
        );
        let seconds = run(&client, &update).await?;
        took.updates += seconds;
        took.longest_update = took.longest_update.max(seconds);
        took.whole += seconds;
        // Bastide's way to NOT NULL, which locks nobody out while it looks.
        let check = Ident::constant("tenant_is_known");
        for statement in [
            sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK (tenant_id IS NOT NULL) NOT VALID", table, check),
            sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, check),
            sql!("ALTER TABLE {} ALTER COLUMN tenant_id SET NOT NULL", table),
            sql!("ALTER TABLE {} DROP CONSTRAINT {}", table, check),
        ] {
            took.whole += run(&client, &statement).await?;
        }
    }
    client.close().await;
    Ok(took)
}

async fn run(client: &tokio_postgres::Client, statement: &Sql) -> anyhow::Result<f64> {
    let begun = Instant::now();
    client.batch_execute(statement.as_str()).await.with_context(|| statement.as_str().to_owned())?;
    Ok(begun.elapsed().as_secs_f64())
}
