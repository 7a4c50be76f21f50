//! Every step's forward script, in order, on a real server: as little of a runner as that takes.

use bastide_plan::{Mode, Plan, Script};
use tokio_postgres::Client;

/// What the engine's bootstrap does.
pub(crate) async fn prepare(client: &Client) {
    client.batch_execute("CREATE ROLE bastide_owner NOLOGIN BYPASSRLS").await.unwrap();
    client.batch_execute(include_str!("../../../engine/src/schema.sql")).await.unwrap();
    let run = "INSERT INTO bastide.run (id, format, bastide, state, phase, plan) VALUES (gen_random_uuid(), 1, '', '', '', '{}')
               RETURNING set_config('bastide.run', id::text, false)";
    client.execute(run, &[]).await.unwrap();
    client.batch_execute("SET row_security = off").await.unwrap();
}

pub(crate) async fn forward(client: &Client, plan: &Plan) {
    for step in &plan.steps {
        let script = step.step.forward();
        if let Err(error) = run(client, &script).await {
            panic!("{}: {error:?}\n{script:#?}", step.id);
        }
    }
}

async fn run(client: &Client, script: &Script) -> Result<(), tokio_postgres::Error> {
    match script.mode {
        Mode::Nothing => {}
        Mode::Autocommit => {
            for statement in &script.statements {
                client.batch_execute(statement.as_str()).await?;
            }
        }
        Mode::Transaction | Mode::LongTransaction => {
            client.batch_execute("BEGIN").await?;
            for statement in script.prelude.iter().chain(&script.statements) {
                client.batch_execute(statement.as_str()).await?;
            }
            client.batch_execute("COMMIT").await?;
        }
        Mode::Batches => {
            let mut cursor: Option<String> = None;
            loop {
                client.batch_execute("BEGIN").await?;
                for statement in &script.prelude {
                    client.batch_execute(statement.as_str()).await?;
                }
                let row = client.query_one(script.statements[0].as_str(), &[&cursor, &500_i64]).await?;
                client.batch_execute("COMMIT").await?;
                cursor = row.get(0);
                if cursor.is_none() {
                    break;
                }
            }
        }
    }
    Ok(())
}
