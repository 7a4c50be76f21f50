//! What all pages have around them.

use maud::{DOCTYPE, Markup, html};

/// `theme` is the address of a merchant's own style sheet, which sets the accent colour and nothing else.
pub(super) fn page(title: &str, theme: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="/assets/bastide.css";
                @if let Some(theme) = theme { link rel="stylesheet" href=(theme); }
            }
            body { (body) }
        }
    }
}

/// A path segment: everything but letters, digits and `-._~` percent-encoded.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(super::segment("a/../b?\"<é"), "a%2F..%2Fb%3F%22%3C%C3%A9");
    }
}
