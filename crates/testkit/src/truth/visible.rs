//! Every row of the scoped tables and every reference between two of them, read into memory: for small databases.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bastide_sql::{Ident, QualifiedName, sql};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Own;

/// A table whose rows belong to tenants; its partitions and inheritance children go with it.
#[derive(Clone, Debug)]
pub struct Scope {
    pub table: QualifiedName,
    /// Need not exist; the key, for the root.
    pub tenant: Ident,
}

/// The table that holds the row, quoted as in SQL, and the row's number.
pub type Place = (String, i64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The table and name of the foreign key.
    pub key: (QualifiedName, Ident),
    pub child: usize,
    pub parent: usize,
}

/// A reference that no constraint knows: a table and its columns, and those of the key they name.
#[derive(Clone, Debug)]
pub struct Undeclared {
    pub name: Ident,
    pub from: (QualifiedName, Vec<Ident>),
    pub to: (QualifiedName, Vec<Ident>),
}

/// What anybody who reads the database can see of whose its rows are.
#[derive(Clone, Debug, Default)]
pub struct Visible {
    pub places: Vec<Place>,
    pub own: Vec<Own>,
    pub links: Vec<Link>,
}

struct Relation {
    name: QualifiedName,
    partitioned: bool,
    parents: Vec<u32>,
}

/// A row's values as the server prints them.
type Values = HashMap<String, String>;

impl Visible {
    /// `number`: a column that every scoped table has, and that tells the rows of one table apart.
    ///
    /// References are followed by the text of their values, so both ends must print alike.
    ///
    /// # Panics
    /// When something cannot be read.
    pub async fn read(client: &Client, scopes: &[Scope], number: &Ident) -> Self {
        Self::read_with(client, scopes, number, &[]).await
    }

    /// The same, with references that no constraint knows.
    ///
    /// # Panics
    /// When something cannot be read.
    pub async fn read_with(
        client: &Client,
        scopes: &[Scope],
        number: &Ident,
        undeclared: &[Undeclared],
    ) -> Self {
        let relations = relations(client).await;
        let mut visible = Self::default();
        let mut rows: BTreeMap<u32, Vec<(usize, Values)>> = BTreeMap::new();
        for (&oid, relation) in relations.iter().filter(|(_, relation)| !relation.partitioned) {
            let Some(scope) = scope(&relations, oid, scopes) else { continue };
            let select = sql!("SELECT * FROM ONLY {} ORDER BY {}", relation.name, number);
            for values in select_text(client, select.as_str()).await {
                let row = visible.places.len();
                let number = values.get(number.as_str()).and_then(|number| number.parse().ok());
                let number = number.unwrap_or_else(|| panic!("a row of {} has no number", relation.name));
                visible.places.push((sql!("{}", relation.name).to_string(), number));
                let own = values.get(scope.tenant.as_str());
                visible.own.push(own.map_or(Own::Open, |tenant| Own::Fact(tenant.clone())));
                rows.entry(oid).or_default().push((row, values));
            }
        }
        for key in select_text(client, FOREIGN_KEYS).await {
            let oid = |name: &str| key[name].parse::<u32>().unwrap_or_default();
            let columns = |name: &str| key[name].split('\n').map(str::to_owned).collect::<Vec<_>>();
            let name = Ident::new(key["name"].as_str()).unwrap_or_else(|error| panic!("{error}"));
            let ends = [(oid("table"), columns("own")), (oid("references"), columns("theirs"))];
            visible.follow(&relations, &rows, &name, &ends);
        }
        for reference in undeclared {
            let end = |(table, columns): &(QualifiedName, Vec<Ident>)| {
                let oid = relations.iter().find(|(_, relation)| relation.name == *table).map(|(&oid, _)| oid);
                let columns = columns.iter().map(|column| column.as_str().to_owned()).collect();
                (oid.unwrap_or_else(|| panic!("there is no {table}")), columns)
            };
            let ends = [end(&reference.from), end(&reference.to)];
            visible.follow(&relations, &rows, &reference.name, &ends);
        }
        visible
    }

    /// Of one reference: the table and columns at either end.
    fn follow(
        &mut self,
        relations: &BTreeMap<u32, Relation>,
        rows: &BTreeMap<u32, Vec<(usize, Values)>>,
        name: &Ident,
        [(table, own), (references, theirs)]: &[(u32, Vec<String>); 2],
    ) {
        let tuple = |values: &Values, columns: &[String]| {
            columns.iter().map(|column| values.get(column).cloned()).collect::<Option<Vec<_>>>()
        };
        let held_by =
            |oid: u32| leaves(relations, oid).into_iter().filter_map(|leaf| rows.get(&leaf)).flatten();
        let parents: HashMap<Vec<String>, usize> =
            held_by(*references).filter_map(|(row, values)| Some((tuple(values, theirs)?, *row))).collect();
        for (child, values) in held_by(*table) {
            if let Some(&parent) = tuple(values, own).and_then(|tuple| parents.get(&tuple)) {
                let key = (relations[table].name.clone(), name.clone());
                self.links.push(Link { key, child: *child, parent });
            }
        }
    }

    /// The links as [`fixpoint`](super::fixpoint) takes them.
    #[must_use]
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        self.links.iter().map(|link| (link.child, link.parent)).collect()
    }

    /// Open rows.
    pub fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.places.len()).filter(|&row| self.is_open(row))
    }

    /// No column says whose the row is.
    #[must_use]
    pub fn is_open(&self, row: usize) -> bool {
        matches!(self.own[row], Own::Open | Own::Declared(_))
    }
}

/// Foreign keys as they were declared: not their copies on partitions.
const FOREIGN_KEYS: &str = r#"
    SELECT k.conname AS name, k.conrelid AS "table", k.confrelid AS "references",
           (SELECT string_agg(a.attname, E'\n' ORDER BY c.at) FROM unnest(k.conkey) WITH ORDINALITY AS c (no, at)
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.no) AS own,
           (SELECT string_agg(a.attname, E'\n' ORDER BY c.at) FROM unnest(k.confkey) WITH ORDINALITY AS c (no, at)
            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.no) AS theirs
    FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conrelid, k.conname"#;

const RELATIONS: &str = "
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned,
           (SELECT string_agg(i.inhparent::oid::text, ',') FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parents
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bastide')
      AND n.nspname NOT LIKE 'pg\\_t%'";

async fn relations(client: &Client) -> BTreeMap<u32, Relation> {
    let ident = |name: &str| Ident::new(name).unwrap_or_else(|error| panic!("{error}"));
    let rows = select_text(client, RELATIONS).await;
    rows.iter()
        .map(|row| {
            let parents = row.get("parents").map_or("", String::as_str);
            let relation = Relation {
                name: QualifiedName::new(ident(&row["schema"]), ident(&row["name"])),
                partitioned: row["partitioned"] == "t",
                parents: parents.split(',').filter_map(|oid| oid.parse().ok()).collect(),
            };
            (row["oid"].parse().unwrap_or_default(), relation)
        })
        .collect()
}

/// The scope of a table, or of the nearest table it is a partition or an inheritance child of.
fn scope<'a>(relations: &BTreeMap<u32, Relation>, oid: u32, scopes: &'a [Scope]) -> Option<&'a Scope> {
    let relation = relations.get(&oid)?;
    let own = scopes.iter().find(|scope| scope.table == relation.name);
    own.or_else(|| relation.parents.iter().find_map(|&parent| scope(relations, parent, scopes)))
}

/// A partitioned table's rows are its partitions'; a table's rows are not its inheritance children's.
fn leaves(relations: &BTreeMap<u32, Relation>, oid: u32) -> BTreeSet<u32> {
    match relations.get(&oid) {
        None => BTreeSet::new(),
        Some(relation) if relation.partitioned => {
            let parts = relations.iter().filter(|(_, part)| part.parents.contains(&oid));
            parts.flat_map(|(&part, _)| leaves(relations, part)).collect()
        }
        Some(_) => BTreeSet::from([oid]),
    }
}

/// Each row as column → text; NULLs are absent.
async fn select_text(client: &Client, query: &str) -> Vec<Values> {
    let messages = client.simple_query(query).await;
    let messages = messages.unwrap_or_else(|error| panic!("{error:?}\n{query}"));
    let values = |row: &tokio_postgres::SimpleQueryRow| {
        let named = row.columns().iter().enumerate();
        named.filter_map(|(at, column)| Some((column.name().to_owned(), row.get(at)?.to_owned()))).collect()
    };
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(values(row)),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}
