//! Statements that may pass the door: constants of our own source, checked while compiling.

use tokio_postgres::types::Type;

/// The type of a bind parameter. Said at the call site, so that a statement can be sent without asking the server first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int4,
    Int8,
    Jsonb,
    Text,
    Timestamptz,
    Uuid,
}

impl Kind {
    pub(crate) fn postgres(self) -> Type {
        match self {
            Self::Bool => Type::BOOL,
            Self::Int4 => Type::INT4,
            Self::Int8 => Type::INT8,
            Self::Jsonb => Type::JSONB,
            Self::Text => Type::TEXT,
            Self::Timestamptz => Type::TIMESTAMPTZ,
            Self::Uuid => Type::UUID,
        }
    }
}

/// One statement that runs as a tenant.
///
/// It cannot control the transaction or the context it runs in: [`Query::new`] refuses, in a `const` at compile time, every
/// statement that is not a plain read or write, or that names the context functions.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    pub(crate) sql: &'static str,
    pub(crate) parameters: &'static [Kind],
}

impl Query {
    /// # Panics
    /// When the text does not begin with SELECT, WITH, INSERT, UPDATE, DELETE or MERGE, or mentions `set_tenant` or
    /// `set_config`. In a `const`, that is a compile error.
    #[must_use]
    pub const fn new(sql: &'static str, parameters: &'static [Kind]) -> Self {
        assert!(
            begins_with_word(sql, "SELECT")
                || begins_with_word(sql, "WITH")
                || begins_with_word(sql, "INSERT")
                || begins_with_word(sql, "UPDATE")
                || begins_with_word(sql, "DELETE")
                || begins_with_word(sql, "MERGE"),
            "a tenant's statement reads or writes rows; transactions, SET, CALL and the like are the door's business"
        );
        assert!(
            !contains(sql, "set_tenant") && !contains(sql, "set_config"),
            "only the door sets the tenant context"
        );
        Self { sql, parameters }
    }

    #[must_use]
    pub const fn sql(&self) -> &'static str {
        self.sql
    }
}

/// A named SECURITY DEFINER function of schema `bastide`, called before the tenant is known: by a merchant's slug, by an
/// e-mail address. It runs without a context, so even a wrong one finds no rows of any table.
#[derive(Clone, Copy, Debug)]
pub struct Lookup(pub(crate) Query);

impl Lookup {
    /// # Panics
    /// When the text is not `SELECT … FROM bastide.…` of one function (in a `const`, a compile error).
    #[must_use]
    pub const fn new(sql: &'static str, parameters: &'static [Kind]) -> Self {
        assert!(
            begins_with_word(sql, "SELECT") && contains(sql, " from bastide."),
            "a look-up selects from a function of schema bastide"
        );
        assert!(!contains(sql, " join "), "a look-up reads one function and nothing else");
        Self(Query::new(sql, parameters))
    }

    #[must_use]
    pub const fn sql(&self) -> &'static str {
        self.0.sql
    }
}

const fn begins_with_word(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    if text.len() <= word.len() || !text[word.len()].is_ascii_whitespace() {
        return false;
    }
    matches_at(text, word, 0)
}

/// Case-insensitive; `word` is ASCII.
const fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let mut at = 0;
    while at + word.len() <= text.len() {
        if matches_at(text, word, at) {
            return true;
        }
        at += 1;
    }
    false
}

const fn matches_at(text: &[u8], word: &[u8], at: usize) -> bool {
    let mut index = 0;
    while index < word.len() {
        if !text[at + index].eq_ignore_ascii_case(&word[index]) {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Query = Query::new("select 1 where $1", &[Kind::Bool]);

    #[test]
    fn reads_and_writes_pass() {
        assert_eq!(PLAIN.sql(), "select 1 where $1");
        for text in ["WITH x AS (SELECT 1) SELECT 1 FROM x", "INSERT INTO t VALUES (1)", "UPDATE t SET a = 1"]
        {
            assert_eq!(Query::new(text, &[]).sql(), text);
        }
    }

    #[test]
    fn nothing_that_ends_the_transaction_or_moves_the_context_passes() {
        for text in [
            "COMMIT",
            "BEGIN ",
            "SET LOCAL x = 1",
            "PREPARE TRANSACTION 'x'",
            "CALL p()",
            "DO $$ $$",
            "SELECTED 1",
            "SELECT bastide.SET_tenant('2')",
            "SELECT pg_catalog.set_config('bastide.tenant', '2', true)",
        ] {
            assert!(std::panic::catch_unwind(|| Query::new(text, &[])).is_err(), "{text} must be refused");
        }
    }

    #[test]
    fn a_lookup_reads_one_function_of_ours() {
        const FINE: Lookup = Lookup::new("SELECT id FROM bastide.merchant_by_slug($1)", &[Kind::Text]);
        assert!(FINE.sql().starts_with("SELECT id"));
        for text in ["SELECT id FROM public.merchants", "SELECT id FROM bastide.f($1) JOIN t ON true"] {
            assert!(std::panic::catch_unwind(|| Lookup::new(text, &[])).is_err(), "{text} must be refused");
        }
    }
}
