//! Names and texts from a database, so that none of them becomes markup: in a paragraph, in a heading, in a cell of a table.

/// A name, a command or SQL. In backticks where that is safe; where it holds what ends a code span or a cell, as an element.
pub(super) fn code(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let plain = |c: char| !matches!(c, '|' | '`' | '\\') && !c.is_control();
    let edges = name.starts_with(' ') || name.ends_with(' ');
    if name.chars().all(plain) && !edges {
        return format!("`{name}`");
    }
    let mut out = String::from("<code>");
    for c in name.chars() {
        match c {
            c if c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | '-' | ';') => out.push(c),
            '\n' => out.push(' '),
            c if c.is_control() => out.push('\u{fffd}'),
            // A reference to a character is never markup, whatever the character.
            c => out.push_str(&format!("&#{};", u32::from(c))),
        }
    }
    out.push_str("</code>");
    out
}

/// Prose, with all that Markdown or HTML would take for markup made harmless.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '<' | '>' | '&' | '*' | '_' | '[' | ']' | '~' | '#' | '$' | '!' => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A script of several lines, in a fence longer than any run of backticks in it.
pub(super) fn block(script: &str) -> String {
    let longest = script.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}sql\n{}\n{fence}", script.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        assert_eq!(code("public.orders"), "`public.orders`");
        assert_eq!(code("a|b"), "<code>a&#124;b</code>");
        assert_eq!(code("tick`s\\"), "<code>tick&#96;s&#92;</code>");
        assert_eq!(code("<b>`"), "<code>&#60;b&#62;&#96;</code>");
        assert_eq!(code("two\nlines"), "<code>two lines</code>");
        assert_eq!(text("a|b *c* <i> `d`"), "a&#124;b &#42;c&#42; &#60;i&#62; &#96;d&#96;");
        assert_eq!(block("a ``` b"), "````sql\na ``` b\n````");
    }
}
