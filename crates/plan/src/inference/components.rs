//! Rows that no evidence reaches, sorted into groups that hang together: each may be a tenant that was lost.
//!
//! Runs in a survey, after the rounds: the work tables say which rows are unreachable, and the pairs which of them refer to
//! each other. A group is known by its least member, found by joining neighbours until none is left.

use std::collections::BTreeMap;

use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};

use super::{
    Graph, Says, Seed,
    render::{Dollar, pairs, work},
    rounds::lines,
    seeds::rule,
};

/// More unreachable rows than this are not grouped: that many are no lost shop, but a reference somebody has to declare.
pub const MOST_ROWS: u64 = 2_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Components {
    /// One row: unreachable rows (bigint). Above [`MOST_ROWS`] the rest is not to be run.
    pub rows: Sql,
    pub prepare: Vec<Sql>,
    /// `$1` least size of a group, `$2` how many: rows of (label bigint, size bigint), the largest first.
    pub largest: Sql,
    /// `$1` label: rows of (node integer, rows bigint).
    pub members: Sql,
}

#[must_use]
pub fn components(graph: &Graph) -> Components {
    let open: Vec<usize> = graph.scoped().filter(|(_, node)| !node.root).map(|(n, _)| n).collect();
    let counts = open.iter().map(|&n| {
        sql!("SELECT count(*) AS rows FROM {} AS x WHERE x.tenant IS NULL AND NOT x.conflict", work(n))
    });
    let rows = if open.is_empty() {
        sql!("SELECT 0::bigint")
    } else {
        sql!("SELECT sum(u.rows)::bigint FROM ({}) AS u", join(counts, " UNION ALL "))
    };
    let mut prepare = number(graph, &open);
    prepare.push(sql!("DO {}", Dollar(&sql!("BEGIN\n{}END", lines(join_neighbours(), "  ")))));
    Components {
        rows,
        prepare,
        largest: sql!(
            "SELECT c.label, count(*) FROM {} AS c GROUP BY c.label HAVING count(*) >= $1 ORDER BY count(*) DESC, c.label LIMIT $2",
            members()
        ),
        members: sql!(
            "SELECT c.node, count(*) FROM {} AS c WHERE c.label = $1 GROUP BY c.node ORDER BY c.node",
            members()
        ),
    }
}

/// The unreachable rows and their neighbours.
fn number(graph: &Graph, open: &[usize]) -> Vec<Sql> {
    let mut statements = vec![
        sql!(
            "CREATE TEMP TABLE {} (id bigint GENERATED ALWAYS AS IDENTITY, node integer, rid tid, label bigint) ON COMMIT DROP",
            members()
        ),
        sql!("CREATE TEMP TABLE {} (a bigint, b bigint) ON COMMIT DROP", neighbours()),
        // Before any update: see the work tables.
        sql!("CREATE UNIQUE INDEX ON {} (id)", members()),
        sql!("CREATE UNIQUE INDEX ON {} (node, rid)", members()),
    ];
    statements.extend(open.iter().map(|&n| {
        sql!(
            "INSERT INTO {} (node, rid) SELECT {}, x.rid FROM {} AS x WHERE x.tenant IS NULL AND NOT x.conflict ORDER BY x.rid",
            members(),
            n,
            work(n)
        )
    }));
    statements.push(sql!("ANALYZE {}", members()));
    for (e, edge) in graph.evidence() {
        if open.contains(&edge.child) && open.contains(&edge.parent) {
            statements.push(sql!(
                "INSERT INTO {} SELECT p.id, c.id FROM {} AS l JOIN {} AS c ON c.node = {} AND c.rid = l.child JOIN {} AS p ON p.node = {} AND p.rid = l.parent WHERE c.id <> p.id",
                neighbours(),
                pairs(e),
                members(),
                edge.child,
                members(),
                edge.parent
            ));
        }
    }
    statements.push(sql!("ANALYZE {}", neighbours()));
    statements
}

/// Unreachable rows of all nodes, numbered: `(id bigint, node integer, rid tid, label bigint)`.
fn members() -> Sql {
    sql!("pg_temp.bastide_c")
}

/// `(a bigint, b bigint)`
fn neighbours() -> Sql {
    sql!("pg_temp.bastide_k")
}

/// Each group takes the least label next to it, as a whole; then labels that were taken over in the same turn are followed to
/// their end. The turns end when no neighbours differ.
fn join_neighbours() -> [Sql; 2] {
    let turn = sql!(
        "LOOP
    WITH near AS (
      SELECT u.label, min(u.next) AS next FROM (
        SELECT x.label, y.label AS next FROM {} AS k JOIN {} AS x ON x.id = k.a JOIN {} AS y ON y.id = k.b WHERE x.label <> y.label
        UNION ALL
        SELECT y.label, x.label FROM {} AS k JOIN {} AS x ON x.id = k.a JOIN {} AS y ON y.id = k.b WHERE x.label <> y.label
      ) AS u GROUP BY u.label
    )
    UPDATE {} AS c SET label = near.next FROM near WHERE c.label = near.label AND near.next < c.label;
    EXIT WHEN NOT FOUND;
    LOOP
      UPDATE {} AS c SET label = o.label FROM {} AS o WHERE o.id = c.label AND o.label < c.label;
      EXIT WHEN NOT FOUND;
    END LOOP;
  END LOOP",
        neighbours(),
        members(),
        members(),
        neighbours(),
        members(),
        members(),
        members(),
        members(),
        members()
    );
    [sql!("UPDATE {} SET label = id", members()), turn]
}

/// Groups that are wholly of one kind, as plpgsql statements for the end of the rounds; none without such kinds.
///
/// A group is of a kind when every row of it that a sign speaks of has the sign, and at least one has. One that is of two
/// kinds is of none. The whole group goes, so that its links stay inside; those to rows in conflict are counted as crossing.
pub(crate) fn settle_kinds(graph: &Graph) -> Vec<Sql> {
    let mut kinds: BTreeMap<usize, Vec<Sql>> = BTreeMap::new();
    let mut updates = Vec::new();
    for (k, seed) in graph.seeds.iter().enumerate() {
        let Says::Kind { kind, tenant, sign } = &seed.says else { continue };
        let n = seed.node;
        let signs = kinds.entry(*kind).or_default();
        // A declared sign may name columns bare, so it sees its table alone.
        signs.extend(sign.as_ref().map(|sign| {
            sql!(
                "SELECT m.label, q.has FROM {} AS m JOIN (SELECT c.ctid AS rid, COALESCE({}, false) AS has FROM ONLY {} AS c) AS q ON q.rid = m.rid WHERE m.node = {}",
                members(),
                sign,
                graph.nodes[n].table,
                n
            )
        }));
        updates.push(sql!(
            "UPDATE {} AS x SET tenant = {}, rule = {}, stratum = bastide_stratum FROM {} AS m JOIN {} AS p ON p.label = m.label WHERE p.kind = {} AND m.node = {} AND m.rid = x.rid",
            work(n),
            Literal::text(tenant),
            rule(graph, k),
            members(),
            of_kind(),
            *kind,
            n
        ));
    }
    if kinds.values().all(Vec::is_empty) {
        return Vec::new();
    }
    let open: Vec<usize> = graph.scoped().filter(|(_, node)| !node.root).map(|(n, _)| n).collect();
    let mut statements = number(graph, &open);
    statements.extend(join_neighbours());
    statements.push(sql!("CREATE TEMP TABLE {} (label bigint, kind integer) ON COMMIT DROP", of_kind()));
    for (kind, signs) in kinds.into_iter().filter(|(_, signs)| !signs.is_empty()) {
        statements.push(sql!(
            "INSERT INTO {} SELECT u.label, {} FROM ({}) AS u GROUP BY u.label HAVING bool_and(u.has)",
            of_kind(),
            kind,
            join(signs, " UNION ALL ")
        ));
    }
    statements.push(sql!(
        "DELETE FROM {} WHERE label IN (SELECT p.label FROM {} AS p GROUP BY p.label HAVING count(*) > 1)",
        of_kind(),
        of_kind()
    ));
    statements.extend(updates);
    // A survey groups what is left once more.
    statements.push(sql!("DROP TABLE {}, {}, {}", members(), neighbours(), of_kind()));
    statements
}

/// `(label bigint, kind integer)`
fn of_kind() -> Sql {
    sql!("pg_temp.bastide_p")
}

impl Graph {
    /// The values of columns of a group's rows in node `n`; `$1` label, `$2` how many: rows of text, one column for each.
    #[must_use]
    pub fn values_of_group(&self, n: usize, columns: &[Ident]) -> Sql {
        let node = &self.nodes[n];
        let values = columns.iter().map(|column| sql!("t.{}::text", column));
        // By key where there is one: a row that is updated moves, and stands for its group all the same.
        let order = if node.key.is_empty() {
            sql!("c.rid")
        } else {
            sql!("{}", join(node.key.iter().map(|column| sql!("t.{}", column)), ", "))
        };
        sql!(
            "SELECT {} FROM {} AS c JOIN ONLY {} AS t ON t.ctid = c.rid WHERE c.label = $1 AND c.node = {} ORDER BY {} LIMIT $2",
            join(values, ", "),
            members(),
            node.table,
            n,
            order
        )
    }

    /// The domains of e-mail addresses in a column of a group's rows; `$1` label: one row (domain text, rows bigint, addresses
    /// bigint) for the most frequent, none without an address.
    #[must_use]
    pub fn domain_of_group(&self, n: usize, column: &Ident) -> Sql {
        sql!(
            "SELECT d.domain, count(*), (sum(count(*)) OVER ())::bigint FROM (
  SELECT lower(substring(t.{}::text FROM '^[^@[:space:]]+@([^@[:space:]]+[.][^@[:space:]]+)$')) AS domain
  FROM {} AS c JOIN ONLY {} AS t ON t.ctid = c.rid WHERE c.label = $1 AND c.node = {}
) AS d WHERE d.domain IS NOT NULL GROUP BY d.domain ORDER BY count(*) DESC, d.domain LIMIT 1",
            column,
            members(),
            self.nodes[n].table,
            n
        )
    }

    /// The same with a tenant for groups of unreachable rows that are wholly of a kind. `signs`: by table, what a row `c` of
    /// the kind is known by.
    #[must_use]
    pub fn sort(
        mut self,
        kind: usize,
        tenant: &str,
        path: &str,
        signs: &BTreeMap<QualifiedName, Sql>,
    ) -> Self {
        for n in 0..self.nodes.len() {
            let node = &self.nodes[n];
            if node.scoped && !node.root {
                let sign = signs.get(&node.table).cloned();
                let says = Says::Kind { kind, tenant: tenant.to_owned(), sign };
                self.seeds.push(Seed { node: n, path: path.to_owned(), says });
            }
        }
        self
    }

    /// The same with a tenant for whatever hangs together with one row, where nothing else settles it.
    #[must_use]
    pub fn propose(mut self, table: &QualifiedName, key: &[String], tenant: &str, path: String) -> Self {
        let Some(n) = self.nodes.iter().position(|node| node.table == *table) else { return self };
        let node = &self.nodes[n];
        let equal = node.key.iter().zip(key).filter_map(|(column, value)| {
            let (_, kind, _) = node.layout.iter().find(|(name, ..)| name == column)?;
            Some(sql!("c.{} = {}::{}", column, Literal::text(value), kind))
        });
        let when = sql!("{}", join(equal, " AND "));
        self.seeds.push(Seed { node: n, path, says: Says::Last { tenant: tenant.to_owned(), when } });
        self
    }
}
