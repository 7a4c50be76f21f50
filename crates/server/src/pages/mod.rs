//! Pages for people, rendered here: no script, no inline style, every value escaped by the template.

mod frame;
mod landing;
mod shop;
mod store;

use axum::{
    Router,
    http::header,
    response::IntoResponse,
    routing::{get, post},
};
use maud::{Markup, html};

use crate::{app::App, code::Code, problem::Problem};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(landing::page))
        .route("/shop/{merchant}", get(shop::page))
        .route("/shop/{merchant}/theme.css", get(shop::theme))
        .route("/store/{merchant}", get(store::page).post(store::sign_in))
        .route("/store/{merchant}/sign-out", post(store::sign_out))
        .route("/assets/bastide.css", get(style))
}

/// What a person sees of a problem.
pub(crate) fn problem(problem: &Problem, request_id: &str) -> Markup {
    let title = problem.status().canonical_reason().unwrap_or("Error");
    frame::page(
        title,
        None,
        &html! {
            main.narrow {
                p.status { (problem.status().as_u16()) }
                h1 { (title) }
                p { (problem.detail) }
                p.quiet { "Request " code { (request_id) } }
                p { a href="/" { "To the front page" } }
            }
        },
    )
}

/// What a person sees who follows a problem's `type`.
pub(crate) fn meaning(code: Code) -> Markup {
    frame::page(
        code.title(),
        None,
        &html! {
            main.narrow {
                p.status { (code.status().as_u16()) }
                h1 { (code.title()) }
                p { (code.meaning()) }
                p.quiet { "Programs know it as " code { (code.name()) } }
            }
        },
    )
}

async fn style() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, include_str!("bastide.css"))
}
