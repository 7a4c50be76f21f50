//! Categories of rows that an operator decides by: test accounts, inactive, closed, archived, of no value, old.
//!
//! What is declared as `[[category]]` in `bastide.toml`, and defaults that the catalog suggests ([`hints`]). Each comes out
//! as a predicate over one table's rows. A category is never evidence of a tenant: it is counted, shown, and left to
//! the operator.

mod count;
mod declared;
mod hints;

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Column, Table, TableKind};
use bastide_sql::{QualifiedName, Sql, join, sql};

pub use self::{
    count::{CategoryCounts, Share, category_counts, table_rows},
    declared::{Age, Category, Condition},
};
use crate::{Declarations, Refusal};

/// One category, as it applies to one table that holds rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCategory {
    /// The category's name; one table has it once.
    pub category: String,
    pub table: QualifiedName,
    /// Which columns say so, and how; for people.
    pub why: String,
    /// Holds (or is false, or NULL) for a row `c` of the table, in a query where `c` is the only source of columns: a
    /// declared expression may name its columns bare.
    pub predicate: Sql,
    /// By `[[category]]`, rather than a default.
    pub declared: bool,
}

/// Every category of every table, by name and table. A declared category takes the place of the default of its name.
///
/// # Errors
/// When a declared category names what is not there, or applies to no column at all.
pub fn categories(catalog: &Catalog, declared: &Declarations) -> Result<Vec<TableCategory>, Refusal> {
    let names: BTreeSet<&str> = declared.categories.iter().map(|category| category.name.as_str()).collect();
    let mut found = Found::default();
    for category in &declared.categories {
        for (table, part) in category.apply(catalog)? {
            found.add(&category.name, table, part, true);
        }
    }
    for table in catalog.tables.values().filter(|table| is_read(table)) {
        for (name, part) in hints::of(table) {
            if !names.contains(name) {
                found.add(name, table, part, false);
            }
        }
    }
    Ok(found.0.into_values().map(Parts::whole).collect())
}

/// One reason for a row to belong to a category.
struct Part {
    why: String,
    predicate: Sql,
}

#[derive(Default)]
struct Found(BTreeMap<(String, QualifiedName), Parts>);

struct Parts {
    category: String,
    table: QualifiedName,
    declared: bool,
    parts: Vec<Part>,
}

impl Found {
    fn add(&mut self, category: &str, table: &Table, part: Part, declared: bool) {
        let key = (category.to_owned(), table.name.clone());
        let parts = self.0.entry(key).or_insert_with(|| Parts {
            category: category.to_owned(),
            table: table.name.clone(),
            declared,
            parts: Vec::new(),
        });
        parts.parts.push(part);
    }
}

impl Parts {
    fn whole(self) -> TableCategory {
        let why = self.parts.iter().map(|part| part.why.as_str()).collect::<Vec<_>>().join("; or ");
        let predicate = sql!("({})", join(self.parts.into_iter().map(|part| part.predicate), " OR "));
        TableCategory { category: self.category, table: self.table, why, predicate, declared: self.declared }
    }
}

/// Rows of a foreign table are somebody else's to count.
fn is_read(table: &Table) -> bool {
    table.holds_rows() && table.kind != TableKind::Foreign
}

/// What can be asked of a column, by its type as the server prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
    Time,
    /// An enumeration, a domain, or what an extension brings: only its text form is known to make sense.
    Named,
    Other,
}

fn kind(column: &Column) -> Kind {
    let name = column.type_name.as_str();
    if name.ends_with(']') {
        return Kind::Other;
    }
    let bare = bare_type(name);
    match bare.as_str() {
        "boolean" => Kind::Boolean,
        "smallint" | "integer" | "bigint" => Kind::Integer,
        "numeric" | "real" | "double precision" | "money" => Kind::Number,
        "text" | "character varying" | "character" => Kind::Text,
        "date" | "timestamp without time zone" | "timestamp with time zone" => Kind::Time,
        _ if bare.ends_with(".citext") => Kind::Text,
        _ if bare.contains('.') => Kind::Named,
        _ => Kind::Other,
    }
}

/// `numeric(10,2)` → `numeric`; `timestamp(3) with time zone` → `timestamp with time zone`.
fn bare_type(name: &str) -> String {
    match (name.find('('), name.find(')')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &name[..open], &name[close + 1..]),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
