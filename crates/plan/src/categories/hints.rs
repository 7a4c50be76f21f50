//! The defaults: what a column's type and the words of its name suggest. A name is only a hint; nothing but what an
//! operator sees and decides by depends on it.

use bastide_catalog::{Column, Table};
use bastide_sql::{Literal, Sql, join, sql};

use super::{Kind, Part, declared::Age, kind};

/// A column of one of these kinds, with one of these words in its name, says by `sign` that its row belongs to `category`.
struct Hint {
    category: &'static str,
    kinds: &'static [Kind],
    words: &'static [&'static str],
    sign: Sign,
}

#[derive(Clone, Copy)]
enum Sign {
    True,
    False,
    Set,
    Zero,
    /// Its text, whatever the case, is one of these words.
    Among(&'static [&'static str]),
    /// An address at a domain that RFC 2606 reserves: nobody can have it.
    ReservedDomain,
}

const FLAG: &[Kind] = &[Kind::Boolean, Kind::Integer];
const TIME: &[Kind] = &[Kind::Time];
const WORD: &[Kind] = &[Kind::Text, Kind::Named];
const STATUS: &[&str] = &["status", "state"];

#[rustfmt::skip]
const HINTS: [Hint; 16] = [
    Hint { category: "test", kinds: FLAG, words: &["test", "testing", "demo", "sandbox", "dummy", "fake"], sign: Sign::True },
    Hint { category: "test", kinds: &[Kind::Text], words: &["email", "mail"], sign: Sign::ReservedDomain },
    Hint { category: "test", kinds: WORD, words: STATUS, sign: Sign::Among(&["test", "testing", "demo", "sandbox"]) },
    Hint { category: "inactive", kinds: FLAG, words: &["active", "enabled"], sign: Sign::False },
    Hint { category: "inactive", kinds: FLAG, words: &["inactive", "disabled", "suspended", "deactivated", "blocked"], sign: Sign::True },
    Hint { category: "inactive", kinds: TIME, words: &["disabled", "suspended", "deactivated", "blocked"], sign: Sign::Set },
    Hint { category: "inactive", kinds: WORD, words: STATUS, sign: Sign::Among(&["inactive", "disabled", "suspended", "deactivated", "blocked", "dormant", "churned"]) },
    Hint { category: "closed", kinds: FLAG, words: &["closed", "cancelled", "canceled", "terminated", "voided"], sign: Sign::True },
    Hint { category: "closed", kinds: TIME, words: &["closed", "cancelled", "canceled", "terminated", "voided"], sign: Sign::Set },
    Hint { category: "closed", kinds: WORD, words: STATUS, sign: Sign::Among(&["closed", "cancelled", "canceled", "terminated", "void", "voided", "expired"]) },
    Hint { category: "archived", kinds: FLAG, words: &["archived", "deleted", "removed", "discontinued"], sign: Sign::True },
    Hint { category: "archived", kinds: TIME, words: &["archived", "deleted", "removed", "discontinued"], sign: Sign::Set },
    Hint { category: "archived", kinds: WORD, words: STATUS, sign: Sign::Among(&["archived", "deleted", "removed", "discontinued"]) },
    Hint { category: "zero value", kinds: &[Kind::Number], words: &["total", "amount", "value", "revenue"], sign: Sign::Zero },
    Hint { category: "zero value", kinds: &[Kind::Integer], words: &["total", "amount", "revenue"], sign: Sign::Zero },
    Hint { category: "test", kinds: WORD, words: &["environment", "env"], sign: Sign::Among(&["test", "testing", "demo", "sandbox", "staging", "dev", "development"]) },
];

/// Rows whose newest date is older than this are `old`, unless a `[[category]]` named `old` says otherwise.
const OLD: Age = Age::years(2);

/// Dates with these words in their names say nothing of when the row was last of use.
const NOT_USE: [&str; 10] =
    ["birth", "birthday", "birthdate", "born", "dob", "valid", "expires", "expiry", "until", "due"];

/// The defaults for one table: category, and what says so.
pub(super) fn of(table: &Table) -> Vec<(&'static str, Part)> {
    let mut found = Vec::new();
    for hint in &HINTS {
        for column in table.columns.iter().filter(|column| hint.fits(table, column)) {
            found.push((hint.category, hint.sign.part(column)));
        }
    }
    let dates: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| kind(column) == Kind::Time && !has_word(column, &NOT_USE))
        .collect();
    if !dates.is_empty() {
        found.push(("old", older_than(&dates, OLD)));
    }
    found
}

impl Hint {
    fn fits(&self, table: &Table, column: &Column) -> bool {
        let kind = kind(column);
        // A number that is a key or a reference is no flag and no sum.
        self.kinds.contains(&kind)
            && has_word(column, self.words)
            && !(kind == Kind::Integer && is_key(table, column))
    }
}

fn is_key(table: &Table, column: &Column) -> bool {
    table.keys.iter().any(|key| key.columns.contains(&column.name))
        || table.foreign_keys.iter().any(|key| key.columns.contains(&column.name))
}

/// Whether a word of the column's name is one of these: `is_test`, `isTest` and `IS-TEST` have `test`, `latest` has not.
fn has_word(column: &Column, words: &[&str]) -> bool {
    let mut name = String::new();
    let mut lower = false;
    for c in column.name.as_str().chars() {
        if !c.is_alphanumeric() || (lower && c.is_uppercase()) {
            name.push(' ');
        }
        lower = c.is_lowercase();
        name.extend(c.to_lowercase());
    }
    name.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
}

impl Sign {
    fn part(self, column: &Column) -> Part {
        let name = &column.name;
        match self {
            Self::True => is_true(column, true),
            Self::False => is_true(column, false),
            Self::Set => Part { why: format!("{name} is set"), predicate: sql!("c.{} IS NOT NULL", name) },
            Self::Zero => is_zero(column, true),
            Self::Among(words) => Part {
                why: format!("{name} says {}", one_of(words)),
                predicate: sql!(
                    "lower(c.{}::text) IN ({})",
                    name,
                    join(words.iter().map(|word| Literal::text(*word)), ", ")
                ),
            },
            Self::ReservedDomain => Part {
                why: format!("{name} is at a domain reserved for tests (RFC 2606)"),
                predicate: sql!("lower(c.{}::text{}) ~ {}", name, bytes(column), Literal::text(RESERVED)),
            },
        }
    }
}

/// No pattern matches under a collation that calls different bytes equal.
pub(super) fn bytes(column: &Column) -> Sql {
    if column.collation.is_some() { sql!(" COLLATE \"default\"") } else { sql!("") }
}

const RESERVED: &str = "@([^@]*[.])?(example[.](com|net|org)|test|example|invalid|localhost)$";

fn one_of(words: &[&str]) -> String {
    crate::refusal::one_of(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
}

pub(super) fn is_true(column: &Column, wanted: bool) -> Part {
    let name = &column.name;
    let predicate = match (kind(column), wanted) {
        (Kind::Integer, true) => sql!("c.{} = 1", name),
        (Kind::Integer, false) => sql!("c.{} = 0", name),
        (_, true) => sql!("c.{}", name),
        (_, false) => sql!("NOT c.{}", name),
    };
    Part { why: format!("{name} is {wanted}"), predicate }
}

pub(super) fn is_zero(column: &Column, wanted: bool) -> Part {
    let name = &column.name;
    let (why, predicate) = if wanted {
        (format!("{name} is 0"), sql!("c.{}::numeric = 0", name))
    } else {
        (format!("{name} is not 0"), sql!("c.{}::numeric <> 0", name))
    };
    Part { why, predicate }
}

/// The newest of the dates is older than `age`; NULLs say nothing, and a row without any date is not old.
pub(super) fn older_than(columns: &[&Column], age: Age) -> Part {
    let names: Vec<String> = columns.iter().map(|column| column.name.to_string()).collect();
    let dates: Vec<Sql> =
        columns.iter().map(|column| sql!("c.{}::timestamp with time zone", column.name)).collect();
    let (why, newest) = match names.as_slice() {
        [only] => (format!("{only} is older than {age}"), sql!("{}", join(dates, ", "))),
        all => (
            format!("the newest of {} is older than {age}", all.join(", ")),
            sql!("GREATEST({})", join(dates, ", ")),
        ),
    };
    Part {
        why,
        predicate: sql!("{} < CURRENT_TIMESTAMP - {}::interval", newest, Literal::text(age.to_string())),
    }
}
