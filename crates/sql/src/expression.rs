//! An SQL expression that somebody typed, fenced in: whatever it says, it stays one value.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Fragment;

/// Text that, between the parentheses it is always written in, cannot end the statement around it: quotes and brackets
/// are closed in order, and there is no semicolon, comment, parameter or comma outside of brackets. What it computes is its
/// author's word; whether its columns exist only the server can say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no single SQL expression: {why}")]
pub struct ExpressionError {
    text: String,
    why: &'static str,
}

impl Expression {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        match flaw(trimmed) {
            None => Ok(Self(trimmed.to_owned())),
            Some(why) => Err(ExpressionError { text: trimmed.to_owned(), why }),
        }
    }
}

impl TryFrom<String> for Expression {
    type Error = ExpressionError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.0
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Fragment for Expression {
    fn write_sql(&self, out: &mut String) {
        out.push('(');
        out.push_str(&self.0);
        out.push(')');
    }
}

fn flaw(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    let mut open: Vec<char> = Vec::new();
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if matches!(before, 'e' | 'E' | '&') => {
                return Some("strings with escapes (E'…', U&'…') are not taken");
            }
            '\'' | '"' => {
                if let Some(why) = quoted(c, &mut chars) {
                    return Some(why);
                }
            }
            '(' => open.push(')'),
            '[' => open.push(']'),
            ')' | ']' if open.pop() != Some(c) => return Some("its brackets do not match"),
            ',' if open.is_empty() => return Some("it has several values"),
            ';' => return Some("it has a semicolon"),
            '$' => return Some("dollar quotes and parameters are not taken"),
            '-' if chars.peek() == Some(&'-') => return Some("comments are not taken"),
            '/' if chars.peek() == Some(&'*') => return Some("comments are not taken"),
            '\0' => return Some("it has a NUL character"),
            _ => {}
        }
        before = c;
    }
    (!open.is_empty()).then_some("its brackets do not match")
}

/// To the closing quote. A backslash before it means different things to servers set up differently.
fn quoted(quote: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<&'static str> {
    let mut before = quote;
    loop {
        match chars.next() {
            None => return Some("a quote is not closed"),
            Some('\0') => return Some("it has a NUL character"),
            Some(c) if c == quote => {
                if before == '\\' && quote == '\'' {
                    return Some("a string ends in a backslash");
                }
                if chars.peek() != Some(&quote) {
                    return None;
                }
                chars.next();
                before = quote;
            }
            Some(c) => before = c,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_people_write_are_taken() {
        for text in [
            "1",
            "split_part(code, '-', 1)::int",
            "CASE WHEN \"Shop; Id\" = 'it''s (--' THEN 1 ELSE 2 END",
            "(SELECT m.id FROM public.merchants m WHERE m.code = upper(shop))",
            "tags[1] - -1",
            "note ~ '^\\d+$'",
            "coalesce(a, b)",
        ] {
            let taken: Expression = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(crate::sql!("{}", taken).as_str(), format!("({text})"));
        }
    }

    #[test]
    fn what_could_leave_its_parentheses_is_refused() {
        for text in [
            "",
            "1) FROM t; DROP TABLE t; --",
            "1); SELECT (1",
            "a, b",
            "a -- b",
            "a /* b",
            "$$a$$",
            "$1",
            "'open",
            "\"open",
            "'\\'",
            "E'\\''",
            "U&'\\0027'",
            "(a]",
            "f(a",
            "a\0",
        ] {
            assert!(text.parse::<Expression>().is_err(), "{text}");
        }
    }
}
