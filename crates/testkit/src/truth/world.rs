//! A small database whose true tenants are known, as plain data, and the SQL that makes it.

use std::fmt;

use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};

/// Names, keys and types are as odd as legacy databases have them; `tables[0]` is the tenant root.
#[derive(Clone)]
pub struct World {
    pub tenant_key: TenantKey,
    pub tables: Vec<Table>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantKey {
    Integer,
    Text,
    Uuid,
}

#[derive(Clone)]
pub struct Table {
    pub key: Key,
    /// It had a tenant column before anybody thought of tenants; filled, or not, by [`Row::own`].
    pub legacy_column: bool,
    pub references: Vec<Reference>,
    /// A rule that the operator declares, and how it says whose [`Row::ruled`] rows are.
    pub rule: Option<Says>,
    pub rows: Vec<Row>,
}

/// The ways a declared rule has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// [`World::mark`] holds the tenant, as text.
    Expression,
    /// It holds a word for the tenant.
    Mapping,
    /// A file names keys; only of rows that are there from the beginning.
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// None of any kind: nothing can reference it.
    None,
    Integer,
    Text,
    /// Of two columns, neither of which tells the rows apart by itself.
    Composite,
    /// The same, and partitioned by the second.
    Partitioned,
}

#[derive(Clone, Debug)]
pub struct Reference {
    pub to: usize,
    pub through: Through,
    pub not_null: bool,
}

/// What a reference names its row by, and who knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    ForeignKey,
    /// The key, but no constraint says so.
    Key,
    /// The root's code, a text, in the same way.
    Code,
    /// The root's number, in the same way.
    Number,
}

#[derive(Clone)]
pub struct Row {
    pub truth: Truth,
    pub own: Option<u32>,
    /// The rule of its table says whose it is.
    pub ruled: bool,
    /// For every reference of its table, the row it points at.
    pub links: Vec<Option<usize>>,
    /// 0: there from the beginning; else the wave of later writes that brings it.
    pub wave: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Tenant(u32),
    /// Used by several tenants: it has no owner.
    Several,
}

impl World {
    /// What tells the rows of a table apart; see [`Visible::read`](super::Visible::read).
    #[must_use]
    pub fn number() -> Ident {
        Ident::constant("no")
    }

    /// The table's name, for good reasons never asked of a human.
    #[must_use]
    pub fn name(table: usize) -> QualifiedName {
        let name = match table % 3 {
            0 => format!("t{table}"),
            1 => format!("Table {table}"),
            _ => format!("it's $bastide$ \"{table}\""),
        };
        QualifiedName::new(schema(), ident(name))
    }

    /// The table, and its partitions where it has any.
    #[must_use]
    pub fn relations(table: usize) -> [QualifiedName; 3] {
        let name = Self::name(table);
        let part = |suffix| QualifiedName::new(schema(), Ident::derived(name.name.as_str(), suffix));
        [name.clone(), part(" even"), part(" rest")]
    }

    #[must_use]
    pub fn tenant_column(table: usize) -> Ident {
        match table {
            0 => Ident::constant("id"),
            _ if table.is_multiple_of(2) => Ident::constant("tenant_id"),
            _ => Ident::constant("Owner's \"Id\""),
        }
    }

    #[must_use]
    pub fn tenant_type(&self) -> Sql {
        match self.tenant_key {
            TenantKey::Integer => sql!("integer"),
            TenantKey::Text => sql!("text"),
            TenantKey::Uuid => sql!("uuid"),
        }
    }

    /// The root's key of a tenant, as the server prints it; 0 is nobody's, and serves as quarantine.
    #[must_use]
    pub fn tenant(&self, tenant: u32) -> String {
        match self.tenant_key {
            TenantKey::Integer => tenant.to_string(),
            TenantKey::Text => format!("Tenant's {tenant}"),
            TenantKey::Uuid => format!("00000000-0000-4000-8000-{tenant:012}"),
        }
    }

    /// Everything that is there from the beginning, in place of the world before.
    #[must_use]
    pub fn create(&self) -> Vec<Sql> {
        let mut statements =
            vec![sql!("DROP SCHEMA IF EXISTS {} CASCADE", schema()), sql!("CREATE SCHEMA {}", schema())];
        for table in 0..self.tables.len() {
            statements.extend(self.create_table(table));
        }
        statements.extend((0..self.tables.len()).filter_map(|table| self.insert(table, 0)));
        for (table, made) in self.tables.iter().enumerate() {
            for (r, reference) in made.references.iter().enumerate() {
                if reference.through != Through::ForeignKey {
                    continue;
                }
                statements.push(sql!(
                    "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({})",
                    Self::name(table),
                    join(self.reference_columns(table, r), ", "),
                    Self::name(reference.to),
                    join(self.target_columns(reference), ", ")
                ));
            }
            if made.legacy_column && table != 0 {
                let (name, column) = (Self::name(table), Self::tenant_column(table));
                statements.push(sql!(
                    "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {}",
                    name,
                    column,
                    Self::name(0)
                ));
            }
        }
        statements
    }

    /// What the migration does to tables that never had a tenant column.
    #[must_use]
    pub fn add_columns(&self) -> Vec<Sql> {
        let missing = (1..self.tables.len()).filter(|&table| !self.tables[table].legacy_column);
        let add = |table| {
            sql!(
                "ALTER TABLE {} ADD {} {}",
                Self::name(table),
                Self::tenant_column(table),
                self.tenant_type()
            )
        };
        missing.map(add).collect()
    }

    /// The tenant that receives what nothing settles.
    #[must_use]
    pub fn add_quarantine(&self) -> Sql {
        sql!("INSERT INTO {} (id, no) VALUES ({}, -1)", Self::name(0), Literal::text(self.tenant(0)))
    }

    /// What the legacy application writes in a wave from 1 on: its rows, then the references between them and from
    /// older rows to them.
    #[must_use]
    pub fn write(&self, wave: u8) -> Vec<Sql> {
        let mut statements: Vec<Sql> =
            (0..self.tables.len()).filter_map(|table| self.insert(table, wave)).collect();
        for (table, made) in self.tables.iter().enumerate() {
            for (no, row) in made.rows.iter().enumerate().filter(|(_, row)| row.wave <= wave) {
                for (r, reference) in made.references.iter().enumerate() {
                    let Some(to) = row.links[r].filter(|&to| self.tables[reference.to].rows[to].wave == wave)
                    else {
                        continue;
                    };
                    let values = self.target_values(reference, to);
                    let set = self.reference_columns(table, r).into_iter().zip(values);
                    statements.push(sql!(
                        "UPDATE {} SET {} WHERE no = {}",
                        Self::name(table),
                        join(set.map(|(column, value)| sql!("{} = {}", column, value)), ", "),
                        no
                    ));
                }
            }
        }
        statements
    }

    fn create_table(&self, table: usize) -> Vec<Sql> {
        let made = &self.tables[table];
        let mut columns: Vec<Sql> = self
            .key_columns(table)
            .into_iter()
            .zip(self.key_types(table))
            .map(|(column, kind)| sql!("{} {} NOT NULL", column, kind))
            .collect();
        for (r, reference) in made.references.iter().enumerate() {
            let not_null = if reference.not_null { sql!(" NOT NULL") } else { sql!("") };
            let typed = self.reference_columns(table, r).into_iter().zip(self.target_types(reference));
            columns.extend(typed.map(|(column, kind)| sql!("{} {}{}", column, kind, not_null)));
        }
        if made.legacy_column && table != 0 {
            columns.push(sql!("{} {}", Self::tenant_column(table), self.tenant_type()));
        }
        if self.has_mark(table) {
            columns.push(sql!("{} text", Self::mark()));
        }
        columns.push(sql!("no integer NOT NULL"));
        if table == 0 {
            columns.extend([sql!("code text UNIQUE"), sql!("UNIQUE (no)")]);
        }
        if made.key != Key::None {
            columns.push(sql!("PRIMARY KEY ({})", join(self.key_columns(table), ", ")));
        }
        let name = Self::name(table);
        if made.key != Key::Partitioned {
            return vec![sql!("CREATE TABLE {} ({})", name, join(columns, ", "))];
        }
        let [_, even, rest] = Self::relations(table);
        vec![
            sql!("CREATE TABLE {} ({}) PARTITION BY LIST (part)", name, join(columns, ", ")),
            sql!("CREATE TABLE {} PARTITION OF {} FOR VALUES IN ({})", even, name, Literal::text(PARTS[0])),
            sql!("CREATE TABLE {} PARTITION OF {} DEFAULT", rest, name),
        ]
    }

    fn insert(&self, table: usize, wave: u8) -> Option<Sql> {
        let made = &self.tables[table];
        let mut columns = self.key_columns(table);
        for r in 0..made.references.len() {
            columns.extend(self.reference_columns(table, r));
        }
        let own = made.legacy_column && table != 0;
        if own {
            columns.push(Self::tenant_column(table));
        }
        if self.has_mark(table) {
            columns.push(Self::mark());
        }
        columns.push(Self::number());
        if table == 0 {
            columns.push(Ident::constant("code"));
        }
        let rows: Vec<Sql> = made
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.wave == wave)
            .map(|(no, row)| {
                let mut values = self.key_values(table, no);
                for (reference, to) in made.references.iter().zip(&row.links) {
                    // Later rows are not there yet; in a later wave nor are those of the wave itself.
                    let there = |to: &usize| {
                        let theirs = self.tables[reference.to].rows[*to].wave;
                        theirs < wave || theirs == 0
                    };
                    match to.filter(there) {
                        Some(to) => values.extend(self.target_values(reference, to)),
                        None => values.extend(self.nothing(reference, no)),
                    }
                }
                if own {
                    values.push(
                        row.own
                            .map_or_else(|| sql!("NULL"), |own| sql!("{}", Literal::text(self.tenant(own)))),
                    );
                }
                if self.has_mark(table) {
                    values.push(
                        self.said(table, row)
                            .map_or_else(|| sql!("NULL"), |said| sql!("{}", Literal::text(said))),
                    );
                }
                values.push(sql!("{}", no));
                if table == 0 {
                    values.push(sql!("{}", Literal::text(code(no))));
                }
                sql!("({})", join(values, ", "))
            })
            .collect();
        let insert = || {
            sql!("INSERT INTO {} ({}) VALUES {}", Self::name(table), join(&columns, ", "), join(&rows, ", "))
        };
        (!rows.is_empty()).then(insert)
    }

    /// A reference to nothing. One of two columns may be filled all the same: MATCH SIMPLE asks no more.
    fn nothing(&self, reference: &Reference, no: usize) -> Vec<Sql> {
        let width = self.target_columns(reference).len();
        if width == 1 {
            return vec![sql!("NULL")];
        }
        if no.is_multiple_of(2) { vec![sql!("0"), sql!("NULL")] } else { vec![sql!("NULL"); width] }
    }

    /// The columns by which a reference names its row.
    #[must_use]
    pub fn target_columns(&self, reference: &Reference) -> Vec<Ident> {
        match reference.through {
            Through::ForeignKey | Through::Key => self.key_columns(reference.to),
            Through::Code => vec![Ident::constant("code")],
            Through::Number => vec![Self::number()],
        }
    }

    fn target_types(&self, reference: &Reference) -> Vec<Sql> {
        match reference.through {
            Through::ForeignKey | Through::Key => self.key_types(reference.to),
            Through::Code => vec![sql!("text")],
            Through::Number => vec![sql!("integer")],
        }
    }

    fn target_values(&self, reference: &Reference, no: usize) -> Vec<Sql> {
        match reference.through {
            Through::ForeignKey | Through::Key => self.key_values(reference.to, no),
            Through::Code => vec![sql!("{}", Literal::text(code(no)))],
            Through::Number => vec![sql!("{}", no)],
        }
    }

    /// Where a rule finds whose a row is.
    #[must_use]
    pub fn mark() -> Ident {
        Ident::constant("the \"mark\"")
    }

    fn has_mark(&self, table: usize) -> bool {
        matches!(self.tables[table].rule, Some(Says::Expression | Says::Mapping))
    }

    /// The tenant that the rule of its table gives a row.
    #[must_use]
    pub fn ruled(row: &Row) -> Option<u32> {
        match row.truth {
            Truth::Tenant(tenant) if row.ruled => Some(tenant),
            Truth::Tenant(_) | Truth::Several => None,
        }
    }

    /// What [`Self::mark`] holds.
    fn said(&self, table: usize, row: &Row) -> Option<String> {
        let tenant = Self::ruled(row)?;
        Some(match self.tables[table].rule {
            Some(Says::Mapping) => Self::word(tenant),
            _ => self.tenant(tenant),
        })
    }

    /// What a mapping looks up.
    #[must_use]
    pub fn word(tenant: u32) -> String {
        format!("it's \"{tenant}\"")
    }

    #[must_use]
    pub fn key_columns(&self, table: usize) -> Vec<Ident> {
        match self.tables[table].key {
            _ if table == 0 => vec![Ident::constant("id")],
            Key::None => Vec::new(),
            Key::Integer => vec![Ident::constant("Id")],
            Key::Text => vec![Ident::constant("code")],
            Key::Composite | Key::Partitioned => vec![Ident::constant("id"), Ident::constant("part")],
        }
    }

    #[must_use]
    pub fn key_types(&self, table: usize) -> Vec<Sql> {
        match self.tables[table].key {
            _ if table == 0 => vec![self.tenant_type()],
            Key::None => Vec::new(),
            Key::Integer => vec![sql!("integer")],
            Key::Text => vec![sql!("text")],
            Key::Composite | Key::Partitioned => vec![sql!("integer"), sql!("text")],
        }
    }

    fn key_values(&self, table: usize, no: usize) -> Vec<Sql> {
        match self.tables[table].key {
            _ if table == 0 => {
                let tenant = u32::try_from(no).map_or(0, |no| no + 1);
                vec![sql!("{}", Literal::text(self.tenant(tenant)))]
            }
            Key::None => Vec::new(),
            Key::Integer => vec![sql!("{}", no)],
            Key::Text => vec![sql!("{}", Literal::text(text_key(no)))],
            Key::Composite | Key::Partitioned => {
                vec![sql!("{}", no / 2), sql!("{}", Literal::text(PARTS[no % 2]))]
            }
        }
    }

    /// The same as somebody writes it into a file.
    #[must_use]
    pub fn key_texts(&self, table: usize, no: usize) -> Vec<String> {
        match self.tables[table].key {
            Key::None => Vec::new(),
            Key::Integer => vec![no.to_string()],
            Key::Text => vec![text_key(no)],
            Key::Composite | Key::Partitioned => vec![(no / 2).to_string(), PARTS[no % 2].to_owned()],
        }
    }

    #[must_use]
    pub fn reference_columns(&self, table: usize, r: usize) -> Vec<Ident> {
        let reference = &self.tables[table].references[r];
        let suffixed = (0..self.target_columns(reference).len()).map(|at| ident(format!("R{r} {at}")));
        suffixed.collect()
    }
}

fn text_key(no: usize) -> String {
    if no.is_multiple_of(2) { format!("A-{no}") } else { format!("a's \"{no}\", \\") }
}

/// Of a row of the root.
fn code(no: usize) -> String {
    format!("Code {no}'s")
}

const PARTS: [&str; 2] = ["a b", "Ü'"];

fn schema() -> Ident {
    Ident::constant("The World")
}

fn ident(name: String) -> Ident {
    Ident::new(name).unwrap_or_else(|error| panic!("{error}"))
}

/// One line to a row: what proptest prints when it has found the smallest world that fails.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a world of tenants by {:?}", self.tenant_key)?;
        for (t, table) in self.tables.iter().enumerate() {
            let column = match (t, table.legacy_column) {
                (0, _) => "the root",
                (_, true) => "legacy tenant column",
                (_, false) => "no tenant column",
            };
            let to: Vec<String> =
                table.references.iter().map(|r| format!("→ t{} by {:?}", r.to, r.through)).collect();
            let rule = table.rule.map_or(String::new(), |rule| format!("; rule by {rule:?}"));
            writeln!(f, "t{t} ({:?} key; {column}{rule}) {}", table.key, to.join(", "))?;
            for (no, row) in table.rows.iter().enumerate() {
                let truth = match row.truth {
                    Truth::Tenant(tenant) => format!("of {tenant}"),
                    Truth::Several => "of several".to_owned(),
                };
                let mut own = row.own.map_or(String::new(), |own| format!(", says {own}"));
                if row.ruled {
                    own.push_str(", ruled");
                }
                let links = row.links.iter().zip(&table.references);
                let links: Vec<String> =
                    links.filter_map(|(to, r)| to.map(|to| format!("t{}#{to}", r.to))).collect();
                let wave = if row.wave == 0 { String::new() } else { format!(", wave {}", row.wave) };
                writeln!(f, "  #{no} {truth}{own}{wave} → {}", links.join(", "))?;
            }
        }
        Ok(())
    }
}
