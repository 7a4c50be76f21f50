//! Names of database objects, exactly as the catalog has them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Fragment;

/// `NAMEDATALEN - 1`: PostgreSQL silently truncates longer names, so we refuse them instead.
const MAX_BYTES: usize = 63;

/// One identifier, unquoted, in the spelling of the catalog.
///
/// In SQL it is always quoted: no list of keywords has to agree with the server's version.
/// [`Display`](fmt::Display) is for people and quotes only when it must.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentError {
    #[error("a name cannot be empty")]
    Empty,
    #[error("the name {0:?} contains a NUL byte, which PostgreSQL does not allow")]
    Nul(String),
    #[error("the name {0:?} has {1} bytes; PostgreSQL keeps at most 63")]
    TooLong(String, usize),
}

impl Ident {
    /// # Errors
    /// When the name is empty, longer than 63 bytes, or contains NUL.
    pub fn new(name: impl Into<String>) -> Result<Self, IdentError> {
        let name = name.into();
        if name.is_empty() {
            return Err(IdentError::Empty);
        }
        if name.contains('\0') {
            return Err(IdentError::Nul(name));
        }
        if name.len() > MAX_BYTES {
            let bytes = name.len();
            return Err(IdentError::TooLong(name, bytes));
        }
        Ok(Self(name))
    }

    /// For names written in our own source.
    ///
    /// # Panics
    /// When the constant is not a legal name, which the first test that touches it shows.
    #[must_use]
    pub fn constant(name: &'static str) -> Self {
        Self::new(name).expect("a constant identifier is legal")
    }

    /// A name made of `stem` and `suffix`, shortened in the stem (at a character boundary) to fit 63 bytes. A
    /// shortened name carries a hash of the whole, so that two long stems with one beginning stay apart.
    #[must_use]
    pub fn derived(stem: &str, suffix: &str) -> Self {
        let whole = format!("{stem}{suffix}");
        if whole.len() <= MAX_BYTES {
            return Self(whole);
        }
        let tag = format!("_{:08x}{suffix}", fnv1a(whole.as_bytes()));
        let mut end = MAX_BYTES.saturating_sub(tag.len());
        while !stem.is_char_boundary(end) {
            end -= 1;
        }
        Self(format!("{}{tag}", &stem[..end]))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl Fragment for Ident {
    fn write_sql(&self, out: &mut String) {
        out.push('"');
        for c in self.0.chars() {
            if c == '"' {
                out.push('"');
            }
            out.push(c);
        }
        out.push('"');
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && self.0.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if plain { f.write_str(&self.0) } else { write!(f, "\"{}\"", self.0.replace('"', "\"\"")) }
    }
}

impl fmt::Debug for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Ident {
    type Error = IdentError;
    fn try_from(name: String) -> Result<Self, IdentError> {
        Self::new(name)
    }
}

impl From<Ident> for String {
    fn from(ident: Ident) -> Self {
        ident.0
    }
}

/// `schema.name` of a table, view, function, index, …
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QualifiedName {
    pub schema: Ident,
    pub name: Ident,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QualifiedNameError {
    #[error("`{0}` does not name a schema; write it as `schema.name`, for example `public.{0}`")]
    NoSchema(String),
    #[error("`{0}` is not of the form `schema.name` (double quotes around either part are allowed)")]
    Malformed(String),
    #[error(transparent)]
    Ident(#[from] IdentError),
}

impl QualifiedName {
    #[must_use]
    pub fn new(schema: Ident, name: Ident) -> Self {
        Self { schema, name }
    }
}

impl Fragment for QualifiedName {
    fn write_sql(&self, out: &mut String) {
        self.schema.write_sql(out);
        out.push('.');
        self.name.write_sql(out);
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl fmt::Debug for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads `schema.Table`: each part is taken exactly as written (no folding to lower case); a part in double quotes
/// may hold dots, and `""` stands for one quote.
impl FromStr for QualifiedName {
    type Err = QualifiedNameError;

    fn from_str(text: &str) -> Result<Self, QualifiedNameError> {
        let malformed = || QualifiedNameError::Malformed(text.to_owned());
        let (schema, rest) = part(text).ok_or_else(malformed)?;
        let Some(rest) = rest.strip_prefix('.') else {
            return Err(if rest.is_empty() {
                QualifiedNameError::NoSchema(text.to_owned())
            } else {
                malformed()
            });
        };
        let (name, rest) = part(rest).ok_or_else(malformed)?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        Ok(Self { schema: Ident::new(schema)?, name: Ident::new(name)? })
    }
}

/// The first part of a dotted name and what follows it.
fn part(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        return (!text[..end].contains('"')).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, chars.peek()) {
            ('"', Some((_, '"'))) => {
                name.push('"');
                chars.next();
            }
            ('"', _) => return Some((name, &quoted[at + 1..])),
            _ => name.push(c),
        }
    }
    None
}

impl TryFrom<String> for QualifiedName {
    type Error = QualifiedNameError;
    fn try_from(text: String) -> Result<Self, QualifiedNameError> {
        text.parse()
    }
}

impl From<QualifiedName> for String {
    fn from(name: QualifiedName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    fn qualified(text: &str) -> QualifiedName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_taken_as_written() {
        assert_eq!(qualified("public.Order").name.as_str(), "Order");
        assert_eq!(qualified(r#""my.schema"."we""ird""#).schema.as_str(), "my.schema");
        assert_eq!(qualified(r#""my.schema"."we""ird""#).name.as_str(), "we\"ird");
    }

    #[test]
    fn people_and_the_server_both_read_back_what_was_meant() {
        for text in ["public.orders", r#"public."Order""#, r#""a.b"."c""d""#, r#"x."9""#] {
            assert_eq!(qualified(text).to_string(), text);
        }
        assert_eq!(sql!("{}", qualified("public.Order")).as_str(), r#""public"."Order""#);
    }

    #[test]
    fn a_bad_name_says_what_was_expected() {
        let error = |text: &str| text.parse::<QualifiedName>().unwrap_err().to_string();
        insta::assert_snapshot!(error("orders"), @"`orders` does not name a schema; write it as `schema.name`, for example `public.orders`");
        insta::assert_snapshot!(error("a.b.c"), @"`a.b.c` is not of the form `schema.name` (double quotes around either part are allowed)");
        insta::assert_snapshot!(error(".b"), @"a name cannot be empty");
        insta::assert_snapshot!(error(r#""a.b"#), @r#"`"a.b` is not of the form `schema.name` (double quotes around either part are allowed)"#);
    }

    #[test]
    fn derived_names_fit_and_stay_apart() {
        let long = "ä".repeat(31);
        let one = Ident::derived(&long, "_tenant_key");
        let two = Ident::derived(&format!("{long}x"), "_tenant_key");
        assert!(one.as_str().len() <= 63 && two.as_str().len() <= 63);
        assert_ne!(one, two);
        assert!(one.as_str().ends_with("_tenant_key"));
        assert_eq!(Ident::derived("orders", "_tenant_key").as_str(), "orders_tenant_key");
    }
}
