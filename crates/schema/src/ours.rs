//! What the migrations keep in schema `bastide`, which a catalog leaves out: functions, tables, and the context that policies read.

use std::collections::{BTreeMap, BTreeSet};

use bastide_sql::Ident;
use tokio_postgres::Client;

use crate::SchemaError;

/// Tables and views of runs and of the record itself; which there are depends on the Bastide that began the run, and on options.
const HOUSE: &[&str] = &[
    "assigned",
    "assigned_keyless",
    "assigned_tenant",
    "assignment",
    "audit",
    "changed",
    "ddl",
    "given",
    "held",
    "journal",
    "reader",
    "remembered",
    "rule",
    "run",
    "schema_history",
    "schema_version",
    "scope",
];

/// The functions that policies, defaults and the door call. In a database with sealed contexts they are others.
const CONTEXT: &[&str] = &["set_tenant", "current_tenant"];

/// Every object by what a message calls it, and what the server says of it: its definition, its owner, and what PUBLIC
/// and the application's login hold.
const OBJECTS: &str = r"
WITH held AS (
    SELECT f.kind, f.oid, string_agg(concat_ws(' ', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE 'app' END, a.privilege_type), ', ' ORDER BY a.grantee, a.privilege_type) AS grants
    FROM (SELECT 'f' AS kind, p.oid, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl FROM pg_proc p WHERE p.pronamespace = 'bastide'::regnamespace
          UNION ALL
          SELECT 'r', c.oid, c.relacl FROM pg_class c WHERE c.relnamespace = 'bastide'::regnamespace) AS f,
         aclexplode(f.acl) AS a
    WHERE a.grantee = 0 OR a.grantee = (SELECT oid FROM pg_roles WHERE rolname = $1)
    GROUP BY f.kind, f.oid
)
SELECT format('function %s', p.oid::regprocedure), p.proname::text,
       concat_ws(E'\n', pg_get_functiondef(p.oid), p.proowner::regrole::text, h.grants)
FROM pg_proc p LEFT JOIN held h ON h.kind = 'f' AND h.oid = p.oid
WHERE p.pronamespace = 'bastide'::regnamespace AND p.prokind IN ('f', 'p')
UNION ALL
SELECT format('%s %s', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, c.oid::regclass), c.relname::text,
       concat_ws(E'\n', c.relowner::regrole::text, h.grants,
                 CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) END,
                 (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END, pg_get_expr(d.adbin, d.adrelid)), E'\n' ORDER BY a.attnum)
                  FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
                 (SELECT string_agg(pg_get_constraintdef(k.oid), E'\n' ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid),
                 (SELECT string_agg(pg_get_indexdef(i.indexrelid), E'\n' ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid = c.oid))
FROM pg_class c LEFT JOIN held h ON h.kind = 'r' AND h.oid = c.oid
WHERE c.relnamespace = 'bastide'::regnamespace AND c.relkind IN ('r', 'v')";

/// What of `built` is otherwise or missing `here`. What is more here is not the migrations'.
pub(crate) async fn differences(
    built: &Client,
    here: &Client,
    app_role: &Ident,
    with_migrations: bool,
) -> Result<Vec<String>, SchemaError> {
    let sealed = "SELECT to_regclass('bastide.seal_key') IS NOT NULL";
    let doing = SchemaError::server("comparing schema bastide");
    let sealed: bool = here.query_one(sealed, &[]).await.and_then(|row| row.try_get(0)).map_err(doing)?;
    let skipped: BTreeSet<&str> = HOUSE.iter().chain(if sealed { CONTEXT } else { &[] }).copied().collect();
    let (expected, there) = (objects(built, app_role).await?, objects(here, app_role).await?);
    let wanted = expected.iter().filter(|(_, (name, _))| {
        !skipped.contains(name.as_str()) && (with_migrations || CONTEXT.contains(&name.as_str()))
    });
    let difference = |(object, (_, said)): (&String, &(String, String))| match there.get(object) {
        None => Some(format!("{object}: is gone")),
        Some((_, found)) if found != said => Some(format!("{object}: {}", first_difference(said, found))),
        Some(_) => None,
    };
    Ok(wanted.filter_map(difference).collect())
}

/// The first line that only one of them has, of each.
fn first_difference(expected: &str, found: &str) -> String {
    let only = |lines: &str, others: &str| {
        let known: BTreeSet<&str> = others.lines().collect();
        lines.lines().find(|line| !known.contains(line)).map_or("nothing", str::trim).to_owned()
    };
    format!("{} → {}", only(expected, found), only(found, expected))
}

async fn objects(
    client: &Client,
    app_role: &Ident,
) -> Result<BTreeMap<String, (String, String)>, SchemaError> {
    let doing = SchemaError::server("reading schema bastide");
    let path = "SET search_path = pg_catalog, pg_temp";
    client.batch_execute(path).await.map_err(&doing)?;
    let rows = client.query(OBJECTS, &[&app_role.as_str()]).await.map_err(&doing)?;
    let object = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)));
    rows.iter().map(object).collect::<Result<_, tokio_postgres::Error>>().map_err(&doing)
}
