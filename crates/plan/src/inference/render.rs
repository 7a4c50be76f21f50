//! The pieces that all scripts are made of: names of work tables, join conditions, and what a row's tenant is.

use std::collections::BTreeMap;

use bastide_catalog::{Catalog, Column, Table, TypeName};
use bastide_sql::{Fragment, Ident, Literal, QualifiedName, Sql, join, sql};

use super::{Edge, Graph, Node, record};

/// Rows of node `n` whose tenant is not a fact: `(rid tid, tenant text, conflict bool, rule int, stratum int)`; the stratum
/// is the one that decided the row, NULL while none has.
pub(crate) fn work(n: usize) -> Sql {
    sql!("pg_temp.bastide_w{}", n)
}

/// Which rows of node `n` changed in which round: `(round int, rid tid)`.
pub(crate) fn queue(n: usize) -> Sql {
    sql!("pg_temp.bastide_q{}", n)
}

/// References of edge `e` between two rows that are both open: `(child tid, parent tid)`.
pub(crate) fn pairs(e: usize) -> Sql {
    sql!("pg_temp.bastide_l{}", e)
}

/// Text between dollar quotes whose tag it does not contain.
pub(crate) struct Dollar<'a>(pub(crate) &'a Sql);

impl Fragment for Dollar<'_> {
    fn write_sql(&self, out: &mut String) {
        let mut tag = "$bastide$".to_owned();
        while self.0.as_str().contains(&tag) {
            tag.insert(tag.len() - 1, '_');
        }
        for part in [tag.as_str(), self.0.as_str(), tag.as_str()] {
            out.push_str(part);
        }
    }
}

/// How `bastide.rule`, `.assignment` and `.held` name a table.
pub(crate) fn relation(table: &QualifiedName) -> Literal {
    Literal::text(sql!("{}", table).as_str())
}

/// Operators of a type from an extension live in its schema, so that schema has to be on the path; `pg_catalog` comes
/// first, and nothing else is there that could capture a name.
pub(crate) fn search_path(graph: &Graph) -> Sql {
    path_to(graph.nodes.iter().flat_map(|node| &node.layout).map(|(_, type_name, _)| type_name))
}

/// The same for whatever compares columns of any table there is.
#[must_use]
pub fn catalog_path(catalog: &Catalog) -> Sql {
    path_to(catalog.tables.values().flat_map(|table| &table.columns).map(|column| &column.type_name))
}

/// The path to the operators of these types.
pub(crate) fn path_to<'a>(types: impl Iterator<Item = &'a TypeName>) -> Sql {
    let mut schemas: Vec<Ident> = types.filter_map(schema_of).collect();
    schemas.sort();
    schemas.dedup();
    let path = join(
        [sql!("pg_catalog")]
            .into_iter()
            .chain(schemas.iter().map(|schema| sql!("{}", schema)))
            .chain([sql!("pg_temp")]),
        ", ",
    );
    sql!("SET LOCAL search_path = {}", path)
}

/// The path to the operators of a table's columns.
pub(crate) fn path_of(table: &Table) -> Sql {
    path_to(table.columns.iter().map(|column| &column.type_name))
}

/// What says whose a row of a scoped table is, for a query that has looked at it as `c` and calls it `r` (with its `ctid`
/// as `r.rid`) from then on.
pub(crate) struct TenantOf {
    /// The tenant that its own column names; over `c`, nullable text.
    pub(crate) own: Sql,
    /// Joins what inference found, as `x`, to `r`.
    pub(crate) join: Sql,
    /// The tenant that inference found; over `x`, nullable text.
    pub(crate) inferred: Sql,
    pub(crate) conflict: Sql,
}

/// `None` for a table that is not scoped. Needs the work tables, but for the root.
pub(crate) fn tenant_of(graph: &Graph, table: &QualifiedName) -> Option<TenantOf> {
    let (n, node) = graph.scoped().find(|(_, node)| node.table == *table)?;
    let own = graph.own(node, &sql!("c")).unwrap_or_else(|| sql!("NULL::text"));
    if node.root {
        let (join, inferred, conflict) = (sql!(""), sql!("NULL::text"), sql!("false"));
        return Some(TenantOf { own, join, inferred, conflict });
    }
    Some(TenantOf {
        own,
        join: sql!(" LEFT JOIN {} AS x ON x.rid = r.rid", work(n)),
        inferred: sql!("x.tenant"),
        conflict: sql!("COALESCE(x.conflict, false)"),
    })
}

/// `public.citext` → `public`; built-in types have no schema in the server's rendering.
fn schema_of(type_name: &TypeName) -> Option<Ident> {
    let bare = type_name.as_str().split('(').next()?.trim_end_matches("[]");
    bare.parse::<QualifiedName>().ok().map(|name| name.schema)
}

/// Whether equal values of this type always print alike, so that the text of one may stand for the other's.
fn prints_one_way(type_name: &TypeName) -> bool {
    matches!(type_name.as_str(), "smallint" | "integer" | "bigint" | "uuid" | "text")
        || type_name.as_str().starts_with("character varying")
}

pub(crate) fn is_text(type_name: &TypeName) -> bool {
    type_name.as_str() == "text" || type_name.as_str().starts_with("character")
}

/// `c.a = p.x AND c.b = p.y`. A NULL in the reference joins nothing, which is what MATCH SIMPLE means by it.
///
/// The two columns may have different collations, which the server would not choose between. A foreign key compares by
/// that of the referenced column; text equality is that of bytes under every deterministic one, the database's default
/// among them.
#[must_use]
pub fn joined(child: &Side<'_>, parent: &Side<'_>) -> Sql {
    let conditions = child.columns.iter().zip(parent.columns).map(|(c, p)| {
        let equal = sql!("{}.{} = {}.{}", child.alias, c, parent.alias, p);
        let text = child.kind(c).is_some_and(is_text) && parent.kind(p).is_some_and(is_text);
        match (parent.collations.get(p), child.collations.get(c)) {
            (Some(loose), _) => sql!("{} COLLATE {}", equal, loose),
            (None, None) if !text => equal,
            (None, _) => sql!("{} COLLATE \"default\"", equal),
        }
    });
    sql!("{}", join(conditions, " AND "))
}

/// One side of a join: the columns of a reference, under an alias.
pub struct Side<'a> {
    pub alias: &'a Sql,
    pub columns: &'a [Ident],
    pub layout: &'a [(Ident, TypeName, bool)],
    /// As [`collations`] has them.
    pub collations: &'a BTreeMap<Ident, QualifiedName>,
}

impl Side<'_> {
    fn kind(&self, column: &Ident) -> Option<&TypeName> {
        self.layout.iter().find(|(name, ..)| name == column).map(|(_, kind, _)| kind)
    }
}

/// Columns under which values are equal though their bytes differ, and the collation that says so.
#[must_use]
pub fn collations(table: &Table) -> BTreeMap<Ident, QualifiedName> {
    let loose = |column: &Column| Some((column.name.clone(), column.collation.clone()?));
    table.columns.iter().filter_map(loose).collect()
}

/// Columns in the catalog's order, their types, and whether they can be written.
#[must_use]
pub fn layout(table: &Table) -> Vec<(Ident, TypeName, bool)> {
    table.columns.iter().map(|c| (c.name.clone(), c.type_name.clone(), c.generated.is_none())).collect()
}

impl Graph {
    /// The join condition of an edge.
    pub(crate) fn on(&self, edge: &Edge, child: &Sql, parent: &Sql) -> Sql {
        let (c, p) = (&self.nodes[edge.child], &self.nodes[edge.parent]);
        joined(
            &Side { alias: child, columns: &edge.columns, layout: &c.layout, collations: &c.collations },
            &Side {
                alias: parent,
                columns: &edge.parent_columns,
                layout: &p.layout,
                collations: &p.collations,
            },
        )
    }

    /// The tenant a row's own column names, as text; `None` where there is no column.
    ///
    /// Where equal keys may print differently (1 and 1.0), the root's spelling is the one that counts. A value the root
    /// does not have stands for itself.
    pub(crate) fn own(&self, node: &Node, alias: &Sql) -> Option<Sql> {
        let column = node.tenant.as_ref()?;
        let plain = sql!("{}.{}::text", alias, column);
        if node.root || prints_one_way(&self.root.key_type) {
            return Some(plain);
        }
        Some(sql!(
            "COALESCE((SELECT r.{}::text FROM {} AS r WHERE r.{} = {}.{}), {})",
            self.root.key,
            self.root.table,
            self.root.key,
            alias,
            column,
            plain
        ))
    }

    /// The tenant of a row after inference, NULL when unknown or in conflict; `work` is the alias of its work table.
    pub(crate) fn known(&self, node: &Node, alias: &Sql, work: &Sql) -> Sql {
        match self.own(node, alias) {
            Some(own) if node.root => own,
            Some(own) => sql!("COALESCE({}, {}.tenant)", own, work),
            None => sql!("{}.tenant", work),
        }
    }

    /// ` LEFT JOIN` of a node's work table, nothing for the root: its rows are all facts.
    pub(crate) fn with_work(&self, n: usize, alias: &Sql, as_work: &Sql) -> Sql {
        if self.nodes[n].root {
            return sql!("");
        }
        sql!(" LEFT JOIN {} AS {} ON {}.rid = {}.ctid", work(n), as_work, as_work, alias)
    }

    /// A foreign key as people write it: `public.orders.customer_id → public.customers`.
    pub(crate) fn down_path(&self, edge: &Edge) -> String {
        format!("{} → {}", self.reference(edge), self.nodes[edge.parent].table)
    }

    /// The same against its direction: `public.customers ← public.orders.customer_id`.
    pub(crate) fn up_path(&self, edge: &Edge) -> String {
        format!("{} ← {}", self.nodes[edge.parent].table, self.reference(edge))
    }

    fn reference(&self, edge: &Edge) -> String {
        let names: Vec<String> = edge.columns.iter().map(ToString::to_string).collect();
        let columns = if names.len() == 1 { names.concat() } else { format!("({})", names.join(", ")) };
        format!("{}.{columns}", self.nodes[edge.child].table)
    }
}

impl Node {
    /// ` AND …` that holds for rows whose tenant is open.
    pub(crate) fn open(&self, alias: &Sql) -> Sql {
        match &self.tenant {
            Some(column) => match self.quarantine.as_ref().filter(|_| self.reopened) {
                // What conflicted then still does: it was no lack of evidence.
                Some(quarantine) => sql!(
                    " AND ({}.{} IS NULL OR {}.{} = {}) AND NOT EXISTS (
    SELECT FROM {}
    WHERE a.run_id = current_setting('bastide.run')::uuid AND a.relation = {} AND a.conflict AND {})",
                    alias,
                    column,
                    alias,
                    column,
                    quarantine,
                    self.recorded_in(),
                    relation(&self.table),
                    self.is_recorded(alias)
                ),
                None => sql!(" AND {}.{} IS NULL", alias, column),
            },
            None => sql!(""),
        }
    }

    fn recorded_in(&self) -> Sql {
        if self.key.is_empty() {
            sql!("bastide.assigned_keyless AS a")
        } else {
            sql!("bastide.assigned AS a CROSS JOIN LATERAL jsonb_array_elements(a.keys) AS k (key)")
        }
    }

    /// Equality alone, so that the two sides are hashed, however many there are.
    fn is_recorded(&self, alias: &Sql) -> Sql {
        if self.key.is_empty() {
            sql!("a.hash = {}", record::row_hash(alias, &self.original_columns))
        } else {
            sql!("k.key = {}", record::key_of(alias, &self.key, &self.original_columns))
        }
    }

    /// ` AND …` that holds for rows whose tenant is a fact; only for nodes with a tenant column.
    pub(crate) fn settled(&self, alias: &Sql) -> Sql {
        match (&self.tenant, &self.quarantine) {
            (Some(column), Some(quarantine)) => {
                // The root's own quarantine row is no evidence either.
                sql!(" AND {}.{} IS NOT NULL AND {}.{} <> {}", alias, column, alias, column, quarantine)
            }
            (Some(column), None) if !self.root => sql!(" AND {}.{} IS NOT NULL", alias, column),
            _ => sql!(""),
        }
    }

    /// The type of a column, as the server prints it.
    pub(crate) fn kind(&self, column: &Ident) -> TypeName {
        let found = self.layout.iter().find(|(name, ..)| name == column);
        found.map_or_else(|| sql!("text"), |(_, kind, _)| kind.clone())
    }

    /// Whether some of its rows can be facts.
    pub(crate) fn has_facts(&self) -> bool {
        self.tenant.is_some()
    }
}

/// Whether `table` is `ancestor`, or a partition or inheritance child of it.
pub(crate) fn descends(catalog: &Catalog, table: &Table, ancestor: &QualifiedName) -> bool {
    table.name == *ancestor
        || table
            .parents
            .iter()
            .filter_map(|parent| catalog.table(parent))
            .any(|parent| descends(catalog, parent, ancestor))
}
