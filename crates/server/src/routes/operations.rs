//! For operators, with their token.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bastide_commerce::Example;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    app::{App, Mismatches},
    contract::{Routes, get},
    lookout::Seen,
    operator::Operator,
};

pub(super) fn routes() -> Routes {
    let (text, example) = (json!({ "type": "string" }), json!("bastide_isolation_shut 0\n"));
    Routes::of("operators", "For who operates the platform.")
        .with(get("/api/v1/system/isolation", "get_isolation", "What the watch saw last", isolation))
        .with(get("/metrics", "get_metrics", "Figures for Prometheus", metrics).answers_with(
            StatusCode::OK,
            "Its text format.",
            "text/plain",
            &text,
            &example,
        ))
}

#[derive(Serialize, ToSchema)]
struct Isolation {
    #[serde(flatten)]
    seen: Seen,
    mismatches: Mismatches,
    /// Refused crossings that wait to be recorded.
    crossings_waiting: usize,
}

impl Example for Isolation {
    fn example() -> Value {
        json!({
            "standing": "isolated",
            "serving": true,
            "looked_at": "2025-01-01T00:30:00Z",
            "last_success_at": "2025-01-01T00:30:00Z",
            "held": 23,
            "breached": [],
            "untested": [{ "name": "read_other", "object": "public.reviews", "result": "untested", "why": "it has no rows" }],
            "drift": [{ "object": "policy public.reviews", "change": "appeared", "unbinds": false }],
            "changes": [],
            "mismatches": { "credential": 2, "header": 0, "sign_in": 1 },
            "crossings_waiting": 0
        })
    }
}

async fn isolation(_: Operator, State(app): State<App>) -> Json<Isolation> {
    Json(Isolation {
        seen: app.lookout().seen(),
        mismatches: app.mismatches(),
        crossings_waiting: app.audit().waiting(),
    })
}

async fn metrics(_: Operator, State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, app.telemetry().render()).into_response()
}
