//! Is it alive, is it ready, how far is the migration?

use axum::{Json, extract::State};
use bastide_commerce::{queries::migration, rows::MigrationStatus};
use serde::Serialize;

use crate::{app::App, problem::Problem};

#[derive(Serialize)]
pub(crate) struct Status {
    status: &'static str,
}

/// The process answers. Never asks the database: a server whose database is away must not be restarted for it.
pub(crate) async fn healthz() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// The database answers, too.
pub(crate) async fn readyz(State(app): State<App>) -> Result<Json<Status>, Problem> {
    app.pool().ping().await.map_err(|error| Problem::from(bastide_commerce::Error::from(error)))?;
    Ok(Json(Status { status: "ready" }))
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Migration {
    Run(MigrationStatus),
    None { state: &'static str },
}

/// `GET /api/v1/system/migration-status`: of the newest run.
pub(crate) async fn migration_status(State(app): State<App>) -> Result<Json<Migration>, Problem> {
    let status = migration::status(app.pool()).await?;
    Ok(Json(status.map_or(Migration::None { state: "none" }, Migration::Run)))
}
