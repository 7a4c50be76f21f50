//! What is said outright about rows: declared rules, heard before any reference; and tenants that the plan proposes, heard
//! when nothing more follows from anything else.

use bastide_catalog::TypeName;
use bastide_sql::{Ident, Literal, Sql, join, sql};

use super::{Graph, Node, record::key_of, render::is_text};
use crate::{GivenKeys, Rule};

/// Keys to a statement.
const CHUNK: usize = 5_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The node whose rows it speaks about.
    pub node: usize,
    /// As evidence shows it.
    pub path: String,
    pub says: Says,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// Of each row, by one of the declared rules: an expression over its columns (under the table's own name): a value of the root key's type; NULL says
    /// nothing, and so does a value that the root does not have.
    First { rule: usize, tenant: Sql },
    /// Of the rows `c` for which the condition holds, where nothing has settled them.
    Last { tenant: String, when: Sql },
    /// Of the rows of a group that nothing reaches and that is wholly of one kind; `sign` tells for a row `c` of this table
    /// whether it is, where anything does.
    Kind { kind: usize, tenant: String, sign: Option<Sql> },
}

/// Where keys given in a CSV file are found while the scripts run: `(rule text, key jsonb, tenant text)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A survey brings them into a table that goes with its transaction.
    Survey,
    /// A run keeps them in `bastide.given`.
    Run,
}

impl Given {
    pub(crate) fn relation(self) -> Sql {
        match self {
            Self::Survey => sql!("pg_temp.bastide_given"),
            Self::Run => sql!("bastide.given"),
        }
    }

    fn of_run(self, alias: &Sql) -> Sql {
        match self {
            Self::Survey => sql!(""),
            Self::Run => sql!(" AND {}.run_id = current_setting('bastide.run')::uuid", alias),
        }
    }
}

impl Seed {
    pub(crate) fn of_rule(graph: &Graph, node: usize, at: usize, rule: &Rule) -> Self {
        let value = value(graph, &graph.nodes[node], rule);
        // Inside of CASE the server refuses an expression that makes several rows of one.
        let when = rule.when.as_ref().map_or_else(|| sql!("true"), |when| sql!("{}", when));
        let mut tenant = sql!("CASE WHEN {} THEN {} END", when, value);
        // What the row's columns call equal must not make two tenants one.
        if is_text(&graph.root.key_type) && !graph.nodes[node].collations.is_empty() {
            tenant = sql!("({}) COLLATE \"default\"", tenant);
        }
        Self {
            node,
            path: format!("rule {} of {}", rule.name, rule.table),
            says: Says::First { rule: at, tenant },
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.says {
            Says::First { .. } => "declared",
            Says::Last { .. } | Says::Kind { .. } => "proposed",
        }
    }
}

/// The tenant a rule gives a row, by whichever way it was declared; [`crate::declared`] has made sure that there is one.
fn value(graph: &Graph, node: &Node, rule: &Rule) -> Sql {
    let key_type = unbounded(&graph.root.key_type);
    let row = sql!("{}", node.table.name);
    if let Some(tenant) = &rule.tenant {
        return sql!("{}::{}", tenant, unrounded(&graph.root.key_type));
    }
    if let Some(column) = &rule.column {
        let cases = rule.tenants.iter().map(|(value, tenant)| {
            sql!("WHEN {} THEN {}::{}", Literal::text(value), Literal::text(tenant), key_type)
        });
        let bytes = if node.collations.contains_key(column) { sql!(" COLLATE \"C\"") } else { sql!("") };
        return sql!("CASE {}.{}::text{} {} END", row, column, bytes, join(cases, " "));
    }
    let g = sql!("bastide_given");
    let columns = rule.keys.as_ref().map(|keys| keys.columns.as_slice()).unwrap_or_default();
    sql!(
        "(SELECT {}.tenant FROM {} AS {} WHERE {}.rule = {} AND {}.key = {}{})::{}",
        g,
        graph.given.relation(),
        g,
        g,
        Literal::text(&rule.name),
        g,
        key_of(&row, columns, &node.original_columns),
        graph.given.of_run(&g),
        key_type
    )
}

/// The type without its length or precision: a cast to `character varying(4)` would cut a value until it is another's.
fn unbounded(kind: &TypeName) -> TypeName {
    let text = kind.as_str();
    let cut = ["character", "numeric", "time"].iter().any(|name| text.starts_with(name));
    match (text.split_once('('), text.split_once(')')) {
        (Some((name, _)), Some((_, rest))) if cut => {
            let name = if name == "character" { "bpchar" } else { name };
            Sql::trusted(format!("{name}{rest}"))
        }
        _ => kind.clone(),
    }
}

/// The same, without a cast that rounds to whole numbers: half of two tenants' ids is no third tenant's.
fn unrounded(kind: &TypeName) -> TypeName {
    match kind.as_str() {
        "smallint" | "integer" | "bigint" => Sql::trusted("numeric"),
        _ => unbounded(kind),
    }
}

/// A given value in the form that the server prints it in; one that its type would cut or round stays as it was given.
fn printed(value: &Sql, kind: &TypeName) -> Sql {
    let whole = unbounded(kind);
    if whole == *kind {
        return sql!("{}::{}::text", value, kind);
    }
    sql!(
        "CASE WHEN {}::{} = {}::{} THEN {}::{}::text ELSE {}::{}::text END",
        value,
        kind,
        value,
        whole,
        value,
        kind,
        value,
        whole
    )
}

/// What a CSV file gave, into the table where rules look it up: statements of at most [`CHUNK`] keys each.
///
/// Keys are brought into the form that the server prints them in, so that `007` finds 7; a value that is none of its
/// column's type fails, and so does a key given twice, or a tenant that is none of the root key's type.
#[must_use]
pub fn give(
    given: Given,
    rule: &str,
    types: &[TypeName],
    root_type: &TypeName,
    keys: &GivenKeys,
) -> Vec<Sql> {
    let (columns, run) = match given {
        Given::Survey => (sql!("rule, key, tenant"), sql!("")),
        Given::Run => (sql!("run_id, rule, key, tenant"), sql!("current_setting('bastide.run')::uuid, ")),
    };
    let values = types.iter().enumerate().map(|(at, kind)| printed(&sql!("(v->>{})", at), kind));
    let key = sql!("jsonb_build_array({})", join(values, ", "));
    keys.rows
        .chunks(CHUNK)
        .map(|rows| {
            let rows: Vec<Vec<&str>> = rows
                .iter()
                .map(|row| row.key.iter().chain([&row.tenant]).map(String::as_str).collect())
                .collect();
            // Lists of strings always are JSON.
            let json = serde_json::to_string(&rows).unwrap_or_default();
            sql!(
                "INSERT INTO {} ({}) SELECT {}{}, {}, {} FROM jsonb_array_elements({}::jsonb) AS v",
                given.relation(),
                columns,
                run,
                Literal::text(rule),
                key,
                printed(&sql!("(v->>{})", types.len()), root_type),
                Literal::text(json)
            )
        })
        .collect()
}

/// Where a survey keeps what was given.
#[must_use]
pub fn create_given() -> Sql {
    sql!(
        "CREATE TEMP TABLE {} (rule text, key jsonb, tenant text, PRIMARY KEY (rule, key)) ON COMMIT DROP",
        Given::Survey.relation()
    )
}

/// The number of a seed among the rules; those of references come first.
pub(crate) fn rule(graph: &Graph, k: usize) -> usize {
    graph.edges.len() * 2 + 1 + k
}

/// What the declared rules say of open rows of node `n`: `(rid tid, s<k> text, …)`, a column for each.
fn said(n: usize) -> Sql {
    sql!("pg_temp.bastide_d{}", n)
}

fn column(k: usize) -> Ident {
    Ident::derived("s", &k.to_string())
}

/// One that comes last.
pub(crate) struct Last<'a> {
    pub(crate) node: usize,
    pub(crate) tenant: &'a str,
    pub(crate) when: &'a Sql,
}

impl Graph {
    pub(crate) fn first_seeds(&self, n: usize) -> impl Iterator<Item = (usize, &Sql)> {
        self.seeds.iter().enumerate().filter(move |(_, seed)| seed.node == n).filter_map(|(k, seed)| {
            match &seed.says {
                Says::First { tenant, .. } => Some((k, tenant)),
                Says::Last { .. } | Says::Kind { .. } => None,
            }
        })
    }

    pub(crate) fn last_seeds(&self) -> impl Iterator<Item = (usize, Last<'_>)> {
        self.seeds.iter().enumerate().filter_map(|(k, seed)| match &seed.says {
            Says::First { .. } | Says::Kind { .. } => None,
            Says::Last { tenant, when } => Some((k, Last { node: seed.node, tenant, when })),
        })
    }
}

/// Before the work table of node `n`.
pub(crate) fn create(graph: &Graph, n: usize) -> Vec<Sql> {
    let seeds: Vec<(usize, &Sql)> = graph.first_seeds(n).collect();
    if seeds.is_empty() {
        return Vec::new();
    }
    let node = &graph.nodes[n];
    let (key, root) = (&graph.root.key, &graph.root.table);
    // The operator's expressions see their own table alone; the root is looked up around them.
    let known = seeds.iter().map(|(k, _)| {
        let s = column(*k);
        // The first comparison is for the root's index; the second is exact.
        sql!(
            "(SELECT r.{}::text FROM {} AS r WHERE r.{} = q.{}::{} AND r.{} = q.{}) COLLATE \"C\" AS {}",
            key,
            root,
            key,
            s,
            graph.root.key_type,
            key,
            s,
            s
        )
    });
    let raw = seeds.iter().map(|(k, tenant)| sql!("{} AS {}", tenant, column(*k)));
    let row = sql!("{}", node.table.name);
    vec![
        sql!(
            "CREATE TEMP TABLE {} ON COMMIT DROP AS
SELECT q.rid, {}
FROM (
  SELECT {}.ctid AS rid, {}
  FROM ONLY {} AS {} WHERE true{}
) AS q",
            said(n),
            join(known, ", "),
            row,
            join(raw, ", "),
            node.table,
            row,
            node.open(&row)
        ),
        sql!("CREATE UNIQUE INDEX ON {} (rid)", said(n)),
    ]
}

/// How the work table of a node takes in what is declared of its rows.
pub(crate) struct First {
    pub(crate) join: Sql,
    pub(crate) lo: Sql,
    pub(crate) hi: Sql,
    pub(crate) rule: Sql,
}

impl First {
    pub(crate) fn of(graph: &Graph, n: usize) -> Option<Self> {
        let columns: Vec<(usize, Sql)> =
            graph.first_seeds(n).map(|(k, _)| (k, sql!("d.{}", column(k)))).collect();
        if columns.is_empty() {
            return None;
        }
        let values = || join(columns.iter().map(|(_, value)| value), ", ");
        let rules =
            columns.iter().map(|(k, value)| sql!("WHEN {} IS NOT NULL THEN {}", value, rule(graph, *k)));
        Some(Self {
            join: sql!("\n  LEFT JOIN {} AS d ON d.rid = c.ctid", said(n)),
            lo: sql!("LEAST({})", values()),
            hi: sql!("GREATEST({})", values()),
            rule: sql!("{}", join(rules, " ")),
        })
    }
}
