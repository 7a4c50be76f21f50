//! What the pages have in common: one file, no script, no font, nothing fetched; light, dark, and on paper.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("../style.css");

/// A gate in a wall.
const WALL: &str = r#"<svg viewBox="0 0 24 24" fill="currentColor" aria-hidden="true"><path d="M2 5h3v2h3V5h3v2h2V5h3v2h3V5h3v15h-7v-4a3 3 0 0 0-6 0v4H2z"/></svg>"#;

pub(crate) struct Page<'a> {
    /// Of Bastide, which made it.
    pub(crate) version: &'a str,
    pub(crate) title: String,
    pub(crate) heading: Markup,
    /// On top of what all pages have.
    pub(crate) style: &'static str,
    /// Below the heading: what it comes down to.
    pub(crate) lead: Markup,
    pub(crate) main: Markup,
}

impl Page<'_> {
    pub(crate) fn document(self) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="generator" content={ "bastide " (self.version) };
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) (PreEscaped(self.style)) }
                }
                body {
                    header { div {
                        div.brand { (PreEscaped(WALL)) "Bastide" }
                        h1 { (self.heading) }
                        (self.lead)
                    } }
                    main { (self.main) }
                }
            }
        }
        .into_string()
    }
}
