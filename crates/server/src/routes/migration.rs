//! How far the newest run is: once, or again at each change. Its state, its phase, how many of its steps are done, and when
//! it began and ended; never SQL, an error, or the name of a table. Whoever reaches the server may ask.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde_json::json;

use crate::{
    app::App,
    code::Code,
    contract::{Routes, get},
    feed::{MigrationNow, Seen},
    problem::Problem,
};

/// Proxies give up on a connection that says nothing.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a client that was cut off waits for before it comes again.
const RETRY: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Routes {
    let text = json!({ "type": "string" });
    let events_example = json!("event: status\ndata: {\"state\":\"none\"}\n\n");
    let events_about = "An event `status` at once and at each change.";
    Routes::of("system", "How the platform fares.")
        .with(
            get(
                "/api/v1/system/migration-status",
                "get_migration_status",
                "How far the newest run is",
                status,
            )
            .answers::<MigrationNow>(StatusCode::OK, "Its state; as events for who accepts those.")
            .answers_with(
                StatusCode::OK,
                events_about,
                "text/event-stream",
                &text,
                &events_example,
            ),
        )
        .with(
            get(
                "/api/v1/system/migration-status/events",
                "watch_migration_status",
                "How far the newest run is, at each change",
                events,
            )
            .answers_with(
                StatusCode::OK,
                events_about,
                "text/event-stream",
                &text,
                &events_example,
            ),
        )
}

async fn status(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        return events(State(app)).await;
    }
    Ok(Json(MigrationNow::ask(app.pool()).await?).into_response())
}

/// An event `status` at once and at each change, `unavailable` while the
/// database does not answer.
async fn events(State(app): State<App>) -> Result<Response, Problem> {
    let listener = app.migration_feed().listen(app.pool()).ok_or_else(|| Problem::of(Code::Busy))?;
    let events = stream::unfold((listener, true), |(mut listener, first)| async move {
        let seen = listener.next().await?;
        let event = as_event(&seen);
        let event = if first { event.retry(RETRY) } else { event };
        Some((Ok::<_, Infallible>(event), (listener, false)))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // nginx keeps what it is sent until there is enough of it, unless told.
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn as_event(seen: &Seen) -> Event {
    match seen {
        Seen::Status(status) => Event::default().event("status").data(status.as_ref()),
        Seen::Away => Event::default().event("unavailable").data(r#"{"code":"database_unavailable"}"#),
    }
}
