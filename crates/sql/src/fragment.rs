//! Assembling SQL from parts that are safe by type.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that may stand inside SQL text. Deliberately not implemented for strings.
pub trait Fragment {
    fn write_sql(&self, out: &mut String);
}

/// SQL text: a whole statement or a part of one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sql(String);

impl Sql {
    /// Text the server itself rendered (`format_type`, `pg_get_expr`, `pg_get_constraintdef`, …) or that stands,
    /// whole, in our own source. Never anything a user typed.
    #[must_use]
    pub fn trusted(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Used by [`sql!`](crate::sql!); each `{}` of the template takes the next argument.
    #[must_use]
    pub fn assemble(template: &'static str, arguments: &[&dyn Fragment]) -> Self {
        let mut out = String::with_capacity(template.len() + 24 * arguments.len());
        let mut pieces = template.split("{}");
        out.push_str(pieces.next().unwrap_or_default());
        for (piece, argument) in pieces.zip(arguments) {
            argument.write_sql(&mut out);
            out.push_str(piece);
        }
        Self(out)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many arguments a template takes; [`sql!`](crate::sql!) compares it with what it was given, at compile time.
#[must_use]
pub const fn placeholders(template: &str) -> usize {
    let bytes = template.as_bytes();
    let (mut at, mut count) = (0, 0);
    while at + 1 < bytes.len() {
        if bytes[at] == b'{' && bytes[at + 1] == b'}' {
            count += 1;
            at += 1;
        }
        at += 1;
    }
    count
}

/// `sql!("ALTER TABLE {} DROP COLUMN {}", table, column)`: like `format!`, but every argument is a [`Fragment`], so
/// nothing unquoted can get in, and a wrong number of arguments does not compile.
#[macro_export]
macro_rules! sql {
    ($template:literal $(, $argument:expr)* $(,)?) => {{
        const _: () = assert!(
            $crate::placeholders($template) == <[&str]>::len(&[$(stringify!($argument)),*]),
            "the template has another number of placeholders than there are arguments",
        );
        $crate::Sql::assemble($template, &[$(&$argument as &dyn $crate::Fragment),*])
    }};
}

impl Fragment for Sql {
    fn write_sql(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

macro_rules! integers {
    ($($kind:ty)*) => { $(impl Fragment for $kind {
        fn write_sql(&self, out: &mut String) {
            out.push_str(&self.to_string());
        }
    })* };
}
integers!(u16 i32 u32 i64 u64 usize);

impl<T: Fragment + ?Sized> Fragment for &T {
    fn write_sql(&self, out: &mut String) {
        (**self).write_sql(out);
    }
}

/// Parts with a separator between them; made by [`join`].
pub struct Joined<T> {
    parts: Vec<T>,
    separator: &'static str,
}

/// `join(&columns, ", ")`
pub fn join<T: Fragment>(parts: impl IntoIterator<Item = T>, separator: &'static str) -> Joined<T> {
    Joined { parts: parts.into_iter().collect(), separator }
}

impl<T: Fragment> Fragment for Joined<T> {
    fn write_sql(&self, out: &mut String) {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                out.push_str(self.separator);
            }
            part.write_sql(out);
        }
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Ident, Literal, join};

    #[test]
    fn arguments_fill_the_template_in_order() {
        let columns = [Ident::constant("a"), Ident::constant("B")];
        let text =
            sql!("SELECT {} FROM t WHERE x = {} LIMIT {}", join(&columns, ", "), Literal::text("{}"), 5_u32);
        assert_eq!(text.as_str(), r#"SELECT "a", "B" FROM t WHERE x = '{}' LIMIT 5"#);
    }
}
