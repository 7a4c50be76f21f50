//! `[[category]]` of `bastide.toml`: a name, which tables and columns, and one condition.

use std::{fmt, str::FromStr};

use bastide_catalog::{Catalog, Column, Table};
use bastide_sql::{Expression, Ident, Literal, QualifiedName, join, sql};
use serde::{Deserialize, Serialize};

use super::{Kind, Part, bare_type, hints, is_read, kind};
use crate::{
    Refusal, classify,
    refusal::{did_you_mean, one_of},
};

/// A category as it is declared. Without `table` it applies wherever a column fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Category {
    pub name: String,
    pub table: Option<QualifiedName>,
    pub column: Option<Ident>,
    /// As the server prints it, with or without a length: `boolean`, `character varying`, `public.mood`.
    pub type_name: Option<String>,
    pub condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// LIKE, on the text form.
    Matches(String),
    /// The text form is one of these.
    Equals(Vec<String>),
    IsTrue(bool),
    IsSet(bool),
    IsZero(bool),
    /// Without a column: the newest of the row's dates.
    OlderThan(Age),
    When(Expression),
}

const CONDITIONS: &str = "matches, equals, is_true, is_set, is_zero, older_than and when";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<QualifiedName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<Ident>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    type_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matches: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<Vec<Scalar>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_true: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_set: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_zero: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    older_than: Option<Age>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Expression>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Integer(i64),
    Boolean(bool),
}

impl TryFrom<Raw> for Category {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let name = raw.name.trim().to_owned();
        if name.is_empty() {
            return Err("a [[category]] needs a name".to_owned());
        }
        let given = [
            raw.matches.map(Condition::Matches),
            raw.equals.map(|values| Condition::Equals(values.into_iter().map(Scalar::text).collect())),
            raw.is_true.map(Condition::IsTrue),
            raw.is_set.map(Condition::IsSet),
            raw.is_zero.map(Condition::IsZero),
            raw.older_than.map(Condition::OlderThan),
            raw.when.map(Condition::When),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(condition), None) = (given.next(), given.next()) else {
            return Err(format!("[[category]] {name} takes exactly one of {CONDITIONS}"));
        };
        if matches!(&condition, Condition::Equals(values) if values.is_empty()) {
            return Err(format!("[[category]] {name}: `equals` takes at least one value"));
        }
        if matches!(condition, Condition::When(_)) {
            if raw.table.is_none() || raw.column.is_some() || raw.type_name.is_some() {
                return Err(format!(
                    "[[category]] {name}: `when` is an expression over the rows of one table: it takes `table`, \
                     and neither `column` nor `type`"
                ));
            }
        } else if raw.column.is_none()
            && raw.type_name.is_none()
            && !matches!(condition, Condition::OlderThan(_))
        {
            return Err(format!("[[category]] {name}: `{}` needs `column` or `type`", condition.key()));
        }
        Ok(Self { name, table: raw.table, column: raw.column, type_name: raw.type_name, condition })
    }
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
        }
    }
}

impl From<Category> for Raw {
    fn from(category: Category) -> Self {
        let mut raw = Self {
            name: category.name,
            table: category.table,
            column: category.column,
            type_name: category.type_name,
            ..Self::default()
        };
        match category.condition {
            Condition::Matches(pattern) => raw.matches = Some(pattern),
            Condition::Equals(values) => {
                raw.equals = Some(values.into_iter().map(Scalar::Text).collect());
            }
            Condition::IsTrue(wanted) => raw.is_true = Some(wanted),
            Condition::IsSet(wanted) => raw.is_set = Some(wanted),
            Condition::IsZero(wanted) => raw.is_zero = Some(wanted),
            Condition::OlderThan(age) => raw.older_than = Some(age),
            Condition::When(expression) => raw.when = Some(expression),
        }
        raw
    }
}

impl Condition {
    /// Its key in the settings.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Matches(_) => "matches",
            Self::Equals(_) => "equals",
            Self::IsTrue(_) => "is_true",
            Self::IsSet(_) => "is_set",
            Self::IsZero(_) => "is_zero",
            Self::OlderThan(_) => "older_than",
            Self::When(_) => "when",
        }
    }

    /// What a column must be for the condition to mean something.
    fn takes(&self, column: &Column) -> Result<(), &'static str> {
        let kind = kind(column);
        let (fits, what) = match self {
            Self::IsTrue(_) => {
                (matches!(kind, Kind::Boolean | Kind::Integer), "a boolean, or a whole number that is 0 or 1")
            }
            Self::IsZero(_) => (matches!(kind, Kind::Number | Kind::Integer), "a number"),
            Self::OlderThan(_) => (kind == Kind::Time, "a date or a timestamp"),
            Self::Matches(_) | Self::Equals(_) | Self::IsSet(_) | Self::When(_) => (true, ""),
        };
        if fits { Ok(()) } else { Err(what) }
    }

    /// What it asks of one table, whose fitting columns these are.
    fn parts(&self, columns: &[&Column], named: bool) -> Vec<Part> {
        match self {
            Self::When(expression) => {
                vec![Part { why: expression.to_string(), predicate: sql!("{}", expression) }]
            }
            Self::OlderThan(age) if !named && !columns.is_empty() => vec![hints::older_than(columns, *age)],
            _ => columns.iter().filter_map(|column| self.part(column)).collect(),
        }
    }

    fn part(&self, column: &Column) -> Option<Part> {
        let name = &column.name;
        Some(match self {
            Self::Matches(pattern) => Part {
                why: format!("{name} is like {pattern}"),
                predicate: sql!("c.{}::text{} LIKE {}", name, hints::bytes(column), Literal::text(pattern)),
            },
            Self::Equals(values) => Part {
                why: format!("{name} is {}", one_of(values)),
                predicate: sql!("c.{}::text IN ({})", name, join(values.iter().map(Literal::text), ", ")),
            },
            Self::IsTrue(wanted) => hints::is_true(column, *wanted),
            Self::IsSet(true) => {
                Part { why: format!("{name} is set"), predicate: sql!("c.{} IS NOT NULL", name) }
            }
            Self::IsSet(false) => {
                Part { why: format!("{name} is not set"), predicate: sql!("c.{} IS NULL", name) }
            }
            Self::IsZero(wanted) => hints::is_zero(column, *wanted),
            Self::OlderThan(age) => hints::older_than(&[column], *age),
            Self::When(_) => return None,
        })
    }
}

impl Category {
    /// The tables it applies to, and how.
    pub(super) fn apply<'a>(&self, catalog: &'a Catalog) -> Result<Vec<(&'a Table, Part)>, Refusal> {
        let tables = match &self.table {
            Some(name) => leaves(catalog, self.named_table(catalog, name)?),
            None => catalog.tables.values().filter(|table| is_read(table)).collect(),
        };
        let mut found = Vec::new();
        for table in &tables {
            let columns: Vec<&Column> = table
                .columns
                .iter()
                .filter(|column| self.names(column) && self.condition.takes(column).is_ok())
                .collect();
            let parts = self.condition.parts(&columns, self.column.is_some());
            found.extend(parts.into_iter().map(|part| (*table, part)));
        }
        if found.is_empty() {
            return Err(self.applies_nowhere(&tables));
        }
        Ok(found)
    }

    fn named_table<'a>(&self, catalog: &'a Catalog, name: &QualifiedName) -> Result<&'a Table, Refusal> {
        catalog.table(name).ok_or_else(|| {
            let near: Vec<String> = classify::near(catalog, name).iter().map(ToString::to_string).collect();
            self.refusal("table", format!("there is no table {name} in this database{}", did_you_mean(&near)))
        })
    }

    fn names(&self, column: &Column) -> bool {
        self.column.as_ref().is_none_or(|name| *name == column.name)
            && self.type_name.as_deref().is_none_or(|wanted| {
                let found = column.type_name.as_str();
                wanted == found || wanted == bare_type(found)
            })
    }

    /// Why no column fits: its name, its type, or what the condition takes.
    fn applies_nowhere(&self, tables: &[&Table]) -> Refusal {
        let place = match &self.table {
            Some(table) => table.to_string(),
            None => "any table".to_owned(),
        };
        let columns = || tables.iter().flat_map(|table| &table.columns);
        if let Some(name) = &self.column {
            let named: Vec<&Column> = columns().filter(|column| column.name == *name).collect();
            if named.is_empty() {
                let mut near: Vec<(usize, String)> = columns()
                    .map(|column| {
                        (classify::distance(&lower(name), &lower(&column.name)), column.name.to_string())
                    })
                    .filter(|(distance, _)| *distance <= 2)
                    .collect();
                near.sort();
                near.dedup();
                let near: Vec<String> = near.into_iter().map(|(_, name)| name).take(3).collect();
                let what = format!("there is no column {name} in {place}{}", did_you_mean(&near));
                return self.refusal("column", what);
            }
            if let Some(what) = named.iter().find_map(|column| self.condition.takes(column).err())
                && self.type_name.is_none()
            {
                let found = &named[0].type_name;
                let key = self.condition.key();
                return self.refusal(key, format!("the type of {name} is {found}, and `{key}` takes {what}"));
            }
        }
        if let Some(wanted) = &self.type_name {
            let mut types: Vec<String> =
                columns().map(|column| bare_type(column.type_name.as_str())).collect();
            types.sort();
            types.dedup();
            let what = format!(
                "no column of {place} that `{}` can be asked of has the type {wanted}; the types there are {}",
                self.condition.key(),
                one_of(&types)
            );
            return self.refusal("type", what);
        }
        self.refusal(self.condition.key(), format!("no column of {place} is one that it can be asked of"))
    }

    fn refusal(&self, key: &'static str, why: String) -> Refusal {
        Refusal::Category { category: self.name.clone(), key, why }
    }
}

fn leaves<'a>(catalog: &'a Catalog, table: &'a Table) -> Vec<&'a Table> {
    if is_read(table) {
        return vec![table];
    }
    table
        .children
        .iter()
        .filter_map(|name| catalog.table(name))
        .flat_map(|child| leaves(catalog, child))
        .collect()
}

fn lower(name: &Ident) -> String {
    name.as_str().to_lowercase()
}

/// `2 years`, `18 months`, `6 weeks`, `90 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age {
    number: u32,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Age {
    #[must_use]
    pub const fn years(number: u32) -> Self {
        Self { number, unit: Unit::Year }
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no age; write it as `2 years`, `18 months`, `6 weeks` or `90 days`");
        let (number, unit) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let number: u32 =
            number.parse().ok().filter(|number| (1..=10_000).contains(number)).ok_or_else(wrong)?;
        let unit = match unit.trim().trim_end_matches('s') {
            "day" => Unit::Day,
            "week" => Unit::Week,
            "month" => Unit::Month,
            "year" => Unit::Year,
            _ => return Err(wrong()),
        };
        Ok(Self { number, unit })
    }
}

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        age.to_string()
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
            Unit::Year => "year",
        };
        write!(f, "{} {unit}{}", self.number, if self.number == 1 { "" } else { "s" })
    }
}
