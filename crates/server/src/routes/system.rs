//! Is it alive, is it ready?

use axum::{Json, extract::State};
use bastide_commerce::Example;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    app::App,
    contract::{Routes, get},
    problem::Problem,
};

pub(super) fn routes() -> Routes {
    Routes::of("health", "For whoever keeps the server running.")
        .with(get("/healthz", "check_health", "Whether the process answers", healthz))
        .with(get("/readyz", "check_readiness", "Whether the database answers and serving is safe", readyz))
}

#[derive(Serialize, ToSchema)]
struct Status {
    #[schema(example = "ready")]
    status: &'static str,
}

impl Example for Status {
    fn example() -> Value {
        json!({ "status": "ready" })
    }
}

/// Never asks the database: a server whose database is away must not be restarted for it.
async fn healthz() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// While the watch sees a breach nothing is lent, and this says so.
async fn readyz(State(app): State<App>) -> Result<Json<Status>, Problem> {
    app.pool().ping().await?;
    Ok(Json(Status { status: "ready" }))
}
