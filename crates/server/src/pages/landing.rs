//! `/`: what this is. It lists no merchants: nobody may ask for all of them.

use maud::{Markup, html};

use super::frame;

pub(crate) async fn page() -> Markup {
    frame::page(
        "Bastide",
        None,
        &html! {
            main.narrow {
                p.eyebrow { "Bastide" }
                h1 { "Many shops, one database, walls in between." }
                p {
                    "Each shop lives at " code { "/shop/" i { "merchant" } } ", and its team signs in at "
                    code { "/store/" i { "merchant" } } "."
                }
                ul.links {
                    li { a href="/api/v1/system/migration-status" { "Migration status" } }
                    li { a href="/readyz" { "Readiness" } }
                }
            }
        },
    )
}
