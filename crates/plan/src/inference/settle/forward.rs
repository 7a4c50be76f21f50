//! Finding what crosses, and what becomes of it.

use bastide_sql::{Ident, Literal, Sql, join, sql};

use super::{Fresh, Settling, is_named, key, mark, pending, relation, values};
use crate::inference::{
    chunks::{Passes, any, next_chunk},
    rounds::lines,
};

/// Rows of node `n` that move: `(rid tid, version xid, target text, link text, reason text)`.
fn moving(n: usize) -> Sql {
    sql!("pg_temp.bastide_m{}", n)
}

/// Rows of node `n` that a tenant needs a copy of: `(rid tid, version xid, tenant text, link text)`.
fn wanted(n: usize) -> Sql {
    sql!("pg_temp.bastide_k{}", n)
}

/// References of edge `e` that change: `(rid tid, version xid, parent jsonb, copy bigint)`.
fn changing(e: usize) -> Sql {
    sql!("pg_temp.bastide_s{}", e)
}

/// The whole of it, as a plpgsql block.
pub(super) fn passes(settling: &Settling<'_>) -> Sql {
    let movable = settling.movable();
    let copied = settling.copied();
    let references = settling.references();
    let (mut made, mut tables) = (Vec::new(), Vec::new());
    let mut table = |name: Sql, columns: &'static str, unique: &'static str| {
        made.push(sql!("DROP TABLE IF EXISTS {}", name));
        made.push(sql!("CREATE TEMP TABLE {} ({})", name, Sql::trusted(columns)));
        made.push(sql!(
            "CREATE {} ON {} (rid{})",
            Sql::trusted(if unique.is_empty() { "INDEX" } else { "UNIQUE INDEX" }),
            name,
            Sql::trusted(unique.trim_start_matches("rid"))
        ));
        tables.push(name);
    };
    for &n in &movable {
        table(moving(n), "rid tid, version xid, target text, link text, reason text", "");
    }
    for (n, _) in &copied {
        table(wanted(*n), "rid tid, version xid, tenant text, link text", "rid, tenant");
    }
    for (e, _) in &references {
        table(changing(*e), "rid tid, version xid, parent jsonb, copy bigint", "rid");
    }
    let mut moves: Vec<Sql> = settling.moves.iter().map(|&e| find_move(settling, e)).collect();
    moves.extend(find_followers(settling, &movable));
    moves.extend(movable.iter().map(|&n| leave_disputed(n)));
    let mut others: Vec<Sql> = settling.copies.iter().map(|(e, _)| find_wanted(settling, *e)).collect();
    others.extend(settling.copies.iter().map(|(e, _)| find_redirected(settling, *e)));
    others.extend(settling.cuts.iter().map(|(e, _)| find_cut(settling, *e)));
    let moving_tables: Vec<Sql> = movable.iter().map(|&n| moving(n)).collect();
    let mut changes: Vec<(Sql, Sql)> =
        movable.iter().map(|&n| (moving(n), move_chunk(settling, n))).collect();
    changes.extend(copied.iter().map(|(n, fresh)| (wanted(*n), copy_chunk(settling, *n, fresh))));
    changes
        .extend(settling.copies.iter().map(|(e, fresh)| (changing(*e), redirect_chunk(settling, *e, fresh))));
    changes.extend(settling.cuts.iter().map(|(e, columns)| (changing(*e), cut_chunk(settling, *e, columns))));
    let find = sql!(
        // Found by whole tables, which are hashed: what was changed so far has no statistics.
        "    SET LOCAL enable_nestloop = off;
{}    IF NOT ({}) THEN
      NULL;
{}    END IF;
",
        lines(moves, "    "),
        any(&moving_tables),
        lines(others, "      ")
    );
    let busy = "the rows whose links cross are locked or change all the time";
    Passes { graph: settling.graph, made, found: tables, kept: Vec::new(), find, changes, busy }.block()
}

/// What a move is settled by: the row's own reference.
fn find_move(settling: &Settling<'_>, e: usize) -> Sql {
    let (child, parent) = (settling.child(e), settling.parent(e));
    sql!(
        "INSERT INTO {} SELECT c.ctid, c.xmin, {}, {}, {}
FROM ONLY {} AS c JOIN ONLY {} AS p ON {} WHERE {} <> {} AND {}",
        moving(settling.edge(e).child),
        settling.own(parent, "p"),
        settling.link(e),
        Literal::text(format!("moved: {}", settling.graph.down_path(settling.edge(e)))),
        child.table,
        parent.table,
        settling.on(e, "c", "p"),
        settling.own(child, "c"),
        settling.own(parent, "p"),
        unmoved(settling, settling.edge(e).child)
    )
}

/// Rows that reference one that moved, and had the tenant it had.
fn find_followers(settling: &Settling<'_>, movable: &[usize]) -> Vec<Sql> {
    let graph = settling.graph;
    let edges = graph.evidence().filter(|(_, edge)| {
        movable.contains(&edge.child)
            && movable.contains(&edge.parent)
            && !graph.nodes[edge.parent].key.is_empty()
    });
    edges
        .map(|(e, edge)| {
            let (child, parent) = (settling.child(e), settling.parent(e));
            sql!(
                "INSERT INTO {} SELECT c.ctid, c.xmin, {}, m.link, {}
FROM bastide.changed AS m JOIN ONLY {} AS p ON {} JOIN ONLY {} AS c ON {}
WHERE {} AND m.what = 'moved' AND {} = m.tenant AND {} <> {} AND {}",
                moving(edge.child),
                settling.own(parent, "p"),
                Literal::text(format!("moved with what it references: {}", graph.down_path(edge))),
                parent.table,
                is_named(parent, "p", &sql!("m.key")),
                child.table,
                settling.on(e, "c", "p"),
                pending("m", parent),
                settling.own(child, "c"),
                settling.own(child, "c"),
                settling.own(parent, "p"),
                unmoved(settling, edge.child)
            )
        })
        .collect()
}

/// A row moves once, and a copy stays with the tenant it was made for. Of rows without a key that are alike, those that moved
/// are told from the others by the tenant they have now.
fn unmoved(settling: &Settling<'_>, n: usize) -> Sql {
    let node = &settling.graph.nodes[n];
    let (known, noted) = match &node.tenant {
        Some(tenant) if node.key.is_empty() => {
            (sql!("({}, {})", key(node, "c"), values("c", [tenant])), sql!("k.key, k.after"))
        }
        _ => (key(node, "c"), sql!("k.key")),
    };
    sql!(
        "{} NOT IN (SELECT {} FROM bastide.changed AS k WHERE {} AND k.what IN ('moved', 'made'))",
        known,
        noted,
        pending("k", node)
    )
}

fn leave_disputed(n: usize) -> Sql {
    sql!(
        "DELETE FROM {} AS f USING (SELECT d.rid FROM {} AS d GROUP BY d.rid HAVING min(d.target) <> max(d.target)) AS d WHERE f.rid = d.rid",
        moving(n),
        moving(n)
    )
}

/// The child has a tenant, and what it references is not that tenant's.
fn crosses(settling: &Settling<'_>, e: usize) -> Sql {
    let (of_child, of_parent) = (settling.own(settling.child(e), "c"), settling.own(settling.parent(e), "p"));
    sql!("{} IS NOT NULL AND {} IS DISTINCT FROM {}", of_child, of_child, of_parent)
}

/// The copy `q` that this run made of `p` for the tenant of `c`, written down as `m`.
fn copy_of(settling: &Settling<'_>, e: usize) -> Sql {
    let (child, parent) = (settling.child(e), settling.parent(e));
    sql!(
        "{} AND m.what = 'made' AND m.before = {} AND m.tenant = {} AND {} = {}",
        pending("m", parent),
        key(parent, "p"),
        settling.own(child, "c"),
        settling.own(parent, "q"),
        settling.own(child, "c")
    )
}

fn find_wanted(settling: &Settling<'_>, e: usize) -> Sql {
    let (child, parent) = (settling.child(e), settling.parent(e));
    sql!(
        "INSERT INTO {} SELECT p.ctid, p.xmin, {}, {} FROM ONLY {} AS c JOIN ONLY {} AS p ON {}
WHERE {} AND NOT EXISTS (SELECT FROM bastide.changed AS m JOIN ONLY {} AS q ON {} WHERE {}) ON CONFLICT (rid, tenant) DO NOTHING",
        wanted(settling.edge(e).parent),
        settling.own(child, "c"),
        settling.link(e),
        child.table,
        parent.table,
        settling.on(e, "c", "p"),
        crosses(settling, e),
        parent.table,
        is_named(parent, "q", &sql!("m.key")),
        copy_of(settling, e)
    )
}

fn find_redirected(settling: &Settling<'_>, e: usize) -> Sql {
    let (child, parent) = (settling.child(e), settling.parent(e));
    sql!(
        "INSERT INTO {} SELECT c.ctid, c.xmin, m.before, m.seq FROM ONLY {} AS c JOIN ONLY {} AS p ON {}
JOIN bastide.changed AS m ON m.before = {} JOIN ONLY {} AS q ON {} WHERE {} AND {} ON CONFLICT (rid) DO NOTHING",
        changing(e),
        child.table,
        parent.table,
        settling.on(e, "c", "p"),
        key(parent, "p"),
        parent.table,
        is_named(parent, "q", &sql!("m.key")),
        crosses(settling, e),
        copy_of(settling, e)
    )
}

fn find_cut(settling: &Settling<'_>, e: usize) -> Sql {
    let (child, parent) = (settling.child(e), settling.parent(e));
    sql!(
        "INSERT INTO {} SELECT c.ctid, c.xmin, {}, NULL FROM ONLY {} AS c JOIN ONLY {} AS p ON {} WHERE {} ON CONFLICT (rid) DO NOTHING",
        changing(e),
        key(parent, "p"),
        child.table,
        parent.table,
        settling.on(e, "c", "p"),
        crosses(settling, e)
    )
}

fn move_chunk(settling: &Settling<'_>, n: usize) -> Sql {
    let node = &settling.graph.nodes[n];
    // Rows that move have a tenant column: `movable` starts from edges whose ends do.
    let Some(tenant) = &node.tenant else { return sql!("NULL") };
    sql!(
        "WITH {}, locked AS MATERIALIZED (
        SELECT t.ctid AS rid, f.target, f.link, f.reason, {} AS before, {} AS tenant
        FROM (SELECT DISTINCT ON (h.rid) h.* FROM chunk AS h ORDER BY h.rid, h.reason) AS f
        JOIN ONLY {} AS t ON t.ctid = f.rid AND t.xmin = f.version FOR UPDATE OF t SKIP LOCKED
      ), changed AS (
        UPDATE ONLY {} AS t SET {} = l.target::{} FROM locked AS l WHERE t.ctid = l.rid
        RETURNING {} AS key, l.before, {} AS after, l.tenant, l.link, l.reason
      )
      INSERT INTO bastide.changed (run_id, relation, key, what, link, before, after, tenant, reason)
      SELECT current_setting('bastide.run')::uuid, {}, c.key, 'moved', c.link, c.before, c.after, c.tenant, c.reason FROM changed AS c",
        next_chunk(&moving(n)),
        values("t", [tenant]),
        settling.own(node, "t"),
        node.table,
        node.table,
        tenant,
        node.kind(tenant),
        key(node, "t"),
        values("t", [tenant]),
        relation(&node.table)
    )
}

/// The original is not locked against changes, only against leaving: what is copied is its last committed state.
fn copy_chunk(settling: &Settling<'_>, n: usize, fresh: &Fresh) -> Sql {
    let node = &settling.graph.nodes[n];
    let Some(tenant) = &node.tenant else { return sql!("NULL") };
    let made = |column: &Ident| fresh.iter().position(|(known, _)| known == column);
    let value = |column: &Ident| match made(column) {
        Some(at) => sql!("f.f{}", at),
        None if column == tenant => sql!("f.tenant::{}", node.kind(tenant)),
        None => sql!("p.{}", column),
    };
    let anew = fresh
        .iter()
        .enumerate()
        .map(|(at, (column, expression))| sql!(", ({})::{} AS f{}", expression, node.kind(column), at));
    let writable: Vec<&Ident> =
        node.layout.iter().filter(|(.., writable)| *writable).map(|(column, ..)| column).collect();
    let named = node.key.iter().map(|column| sql!("({})::text", value(column)));
    sql!(
        "WITH {}, locked AS MATERIALIZED (
        SELECT p.ctid AS rid, f.tenant, f.link, {} AS source
        FROM chunk AS f JOIN ONLY {} AS p ON p.ctid = f.rid AND p.xmin = f.version FOR KEY SHARE OF p SKIP LOCKED
      ), fresh AS MATERIALIZED (
        SELECT l.rid, l.tenant, l.link, l.source{} FROM locked AS l
      ), made AS (
        INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE
        SELECT {} FROM fresh AS f JOIN ONLY {} AS p ON p.ctid = f.rid
        RETURNING {} AS key, {} AS mark
      )
      INSERT INTO bastide.changed (run_id, relation, key, what, link, before, after, tenant, reason)
      SELECT current_setting('bastide.run')::uuid, {}, m.key, 'made', f.link, f.source, jsonb_build_array(m.mark), f.tenant, {}
      FROM fresh AS f JOIN ONLY {} AS p ON p.ctid = f.rid JOIN made AS m ON m.key = jsonb_build_array({})",
        next_chunk(&wanted(n)),
        key(node, "p"),
        node.table,
        join(anew, ""),
        node.table,
        join(writable.iter().copied(), ", "),
        join(writable.iter().map(|column| value(column)), ", "),
        node.table,
        key(node, "t"),
        mark(node, "t"),
        relation(&node.table),
        Literal::text(format!("copied: {}, for another tenant whose rows reference it", node.table)),
        node.table,
        join(named, ", ")
    )
}

fn redirect_chunk(settling: &Settling<'_>, e: usize, fresh: &Fresh) -> Sql {
    let parent = settling.parent(e);
    let set = settling.redirected(e, fresh).map(|(own, theirs)| sql!("{} = q.{}", own, theirs));
    let from = sql!(
        " JOIN bastide.changed AS m ON m.seq = l.copy JOIN ONLY {} AS q ON {}",
        parent.table,
        is_named(parent, "q", &sql!("m.key"))
    );
    reference_chunk(settling, e, "redirected", &sql!("{}", join(set, ", ")), &from)
}

fn cut_chunk(settling: &Settling<'_>, e: usize, columns: &[Ident]) -> Sql {
    let set = columns.iter().map(|column| sql!("{} = NULL", column));
    reference_chunk(settling, e, "cut", &sql!("{}", join(set, ", ")), &sql!(""))
}

fn reference_chunk(settling: &Settling<'_>, e: usize, what: &'static str, set: &Sql, from: &Sql) -> Sql {
    let (edge, node) = (settling.edge(e), settling.child(e));
    sql!(
        "WITH {}, locked AS MATERIALIZED (
        SELECT t.ctid AS rid, f.parent, f.copy, {} AS before, {} AS tenant
        FROM chunk AS f JOIN ONLY {} AS t ON t.ctid = f.rid AND t.xmin = f.version FOR UPDATE OF t SKIP LOCKED
      ), changed AS (
        UPDATE ONLY {} AS t SET {} FROM locked AS l{} WHERE t.ctid = l.rid
        RETURNING {} AS key, l.before, {} AS after, l.parent, l.tenant
      )
      INSERT INTO bastide.changed (run_id, relation, key, what, link, before, after, parent, tenant, reason)
      SELECT current_setting('bastide.run')::uuid, {}, c.key, {}, {}, c.before, c.after, c.parent, c.tenant, {} FROM changed AS c",
        next_chunk(&changing(e)),
        values("t", &edge.columns),
        settling.own(node, "t"),
        node.table,
        node.table,
        set,
        from,
        key(node, "t"),
        values("t", &edge.columns),
        relation(&node.table),
        Literal::text(what),
        settling.link(e),
        Literal::text(format!("{what}: {}", settling.graph.down_path(edge)))
    )
}
