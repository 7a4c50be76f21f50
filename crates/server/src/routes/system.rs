//! Is it alive, is it ready?

use axum::{Json, extract::State};
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

/// The database answers, too, and the watch sees no breach: while it does, nothing is lent.
pub(crate) async fn readyz(State(app): State<App>) -> Result<Json<Status>, Problem> {
    app.pool().ping().await.map_err(|error| Problem::from(bastide_commerce::Error::from(error)))?;
    Ok(Json(Status { status: "ready" }))
}
