//! Which functions a view calls, and what those read as far as the server has parsed them: dependencies, never text.

use std::collections::BTreeMap;

use bastide_sql::{Ident, QualifiedName};
use tokio_postgres::Transaction;

use crate::VerifyError;

/// A function on a view's way to rows, directly or through others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    /// `schema.name(arguments)`
    pub(crate) signature: String,
    /// Relations that its parsed body names; none says nothing about a body that is text.
    pub(crate) touches: Vec<QualifiedName>,
}

// A view's rule names functions; a function with a parsed body names relations and further functions; those may be views.
// What extensions bring, and what is IMMUTABLE and so reads no table, leads nowhere.
const CALLS: &str = "
    WITH RECURSIVE edge AS (
        SELECT 'pg_class'::regclass::oid AS class, r.ev_class AS oid, d.refclassid AS to_class, d.refobjid AS to_oid
        FROM pg_rewrite r
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refobjid <> r.ev_class
        WHERE d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass)
        UNION
        SELECT d.classid, d.objid, d.refclassid, d.refobjid
        FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass)
    ), path AS (
        SELECT c.oid AS view, e.to_class AS class, e.to_oid AS oid
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN edge e ON e.class = 'pg_class'::regclass AND e.oid = c.oid
        WHERE c.relkind IN ('v', 'm') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bastide')
        UNION
        SELECT p.view, e.to_class, e.to_oid FROM path p JOIN edge e ON e.class = p.class AND e.oid = p.oid
    )
    SELECT vn.nspname::text, v.relname::text,
           format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
           ARRAY(SELECT tn.nspname::text FROM edge e JOIN pg_class t ON t.oid = e.to_oid
                 JOIN pg_namespace tn ON tn.oid = t.relnamespace
                 WHERE e.class = 'pg_proc'::regclass AND e.oid = f.oid AND e.to_class = 'pg_class'::regclass
                 ORDER BY t.oid),
           ARRAY(SELECT t.relname::text FROM edge e JOIN pg_class t ON t.oid = e.to_oid
                 JOIN pg_namespace tn ON tn.oid = t.relnamespace
                 WHERE e.class = 'pg_proc'::regclass AND e.oid = f.oid AND e.to_class = 'pg_class'::regclass
                 ORDER BY t.oid)
    FROM path p
    JOIN pg_class v ON v.oid = p.view JOIN pg_namespace vn ON vn.oid = v.relnamespace
    JOIN pg_proc f ON p.class = 'pg_proc'::regclass AND f.oid = p.oid
    JOIN pg_namespace n ON n.oid = f.pronamespace
    WHERE f.provolatile <> 'i' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'bastide')
      AND NOT EXISTS (SELECT FROM pg_depend e
                      WHERE e.classid = 'pg_proc'::regclass AND e.objid = f.oid AND e.deptype = 'e')
    ORDER BY 1, 2, 3";

pub(super) async fn calls(
    transaction: &Transaction<'_>,
) -> Result<BTreeMap<QualifiedName, Vec<Called>>, VerifyError> {
    let rows =
        transaction.query(CALLS, &[]).await.map_err(VerifyError::reading("which functions views call"))?;
    let mut calls = BTreeMap::<_, Vec<_>>::new();
    for row in &rows {
        let name = |at: usize| Ident::new(row.get::<_, String>(at));
        let (schemas, names): (Vec<String>, Vec<String>) = (row.get(3), row.get(4));
        let touches = schemas.into_iter().zip(names);
        let touches = touches
            .map(|(schema, name)| Ok(QualifiedName::new(Ident::new(schema)?, Ident::new(name)?)))
            .collect::<Result<_, VerifyError>>()?;
        let view = QualifiedName::new(name(0)?, name(1)?);
        calls.entry(view).or_default().push(Called { signature: row.get(2), touches });
    }
    Ok(calls)
}
