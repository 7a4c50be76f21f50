//! For operators, with their token: `GET /metrics`, and what the watch saw last at `GET /api/v1/system/isolation`.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use serde::Serialize;

use crate::{
    app::{App, Mismatches},
    lookout::Seen,
    operator::Operator,
};

#[derive(Serialize)]
pub(crate) struct Isolation {
    #[serde(flatten)]
    seen: Seen,
    mismatches: Mismatches,
    /// Refused crossings that wait to be recorded.
    crossings_waiting: usize,
}

pub(crate) async fn isolation(_: Operator, State(app): State<App>) -> Json<Isolation> {
    Json(Isolation {
        seen: app.lookout().seen(),
        mismatches: app.mismatches(),
        crossings_waiting: app.audit().waiting(),
    })
}

pub(crate) async fn metrics(
    _: Operator,
    State(app): State<App>,
) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.telemetry().render())
}
