//! Constants inside SQL text, for the places where a bind parameter cannot go (DDL, defaults, function bodies).

use crate::Fragment;

/// A constant. Text is quoted so that it reads back the same whatever `standard_conforming_strings` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal(Option<String>);

impl Literal {
    #[must_use]
    pub fn text(value: impl Into<String>) -> Self {
        Self(Some(value.into()))
    }

    #[must_use]
    pub fn null() -> Self {
        Self(None)
    }
}

impl Fragment for Literal {
    fn write_sql(&self, out: &mut String) {
        let Some(value) = &self.0 else {
            out.push_str("NULL");
            return;
        };
        // A leading space keeps `E'…'` from joining a preceding word.
        let escaped = value.contains('\\');
        out.push_str(if escaped { " E'" } else { "'" });
        for c in value.chars() {
            match c {
                '\'' => out.push_str("''"),
                '\\' => out.push_str("\\\\"),
                _ => out.push(c),
            }
        }
        out.push('\'');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    #[test]
    fn quotes_and_backslashes_are_doubled() {
        assert_eq!(sql!("{}", Literal::text("it's")).as_str(), "'it''s'");
        assert_eq!(sql!("{}", Literal::text(r"a\'b")).as_str(), r" E'a\\''b'");
        assert_eq!(sql!("{}", Literal::null()).as_str(), "NULL");
    }
}
