//! Code that may not outlive a new column: functions as the server keeps them, and statements that it has seen.

use bastide_plan::{Code, SeenStatement, Survey};
use bastide_sql::{Ident, Literal, QualifiedName, sql};
use tokio_postgres::{Row, Transaction};

use crate::SurveyError;

/// Functions of people, not of extensions; in languages whose text is SQL or holds some.
const FUNCTIONS: &str = "
SELECT p.oid::regprocedure::text, l.lanname::text, p.prosqlbody IS NOT NULL,
       coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
       p.proretset OR p.prorettype = 'record'::regtype,
       rn.nspname::text, rc.relname::text
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  JOIN pg_type rt ON rt.oid = p.prorettype
  LEFT JOIN pg_class rc ON rc.oid = rt.typrelid AND rc.relkind IN ('r', 'p')
  LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bastide')
   AND p.prokind IN ('f', 'p') AND l.lanname NOT IN ('internal', 'c')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY 1";

/// The schema in which pg_stat_statements can be read; without its library loaded it only fails.
const SEEN: &str = "
SELECT n.nspname::text
  FROM pg_extension e
  JOIN pg_class c ON c.relnamespace = e.extnamespace AND c.relname = 'pg_stat_statements'
  JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements' AND (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'shared_preload_libraries') ~ 'pg_stat_statements'
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')";

pub(crate) async fn read(transaction: &Transaction<'_>, survey: &mut Survey) -> Result<(), SurveyError> {
    let what = "read the functions";
    let rows = transaction.query(FUNCTIONS, &[]).await.map_err(SurveyError::during(what))?;
    survey.code = rows.iter().map(code).collect::<Result<_, _>>().map_err(SurveyError::during(what))?;
    let what = "read pg_stat_statements";
    let Some(place) = transaction.query_opt(SEEN, &[]).await.map_err(SurveyError::during(what))? else {
        return Ok(());
    };
    let schema: String = place.try_get(0).map_err(SurveyError::during(what))?;
    let Ok(schema) = Ident::new(schema) else { return Ok(()) };
    let view = QualifiedName::new(schema, Ident::constant("pg_stat_statements"));
    let statements = sql!(
        "SELECT s.query, sum(s.calls)::bigint, array_remove(array_agg(DISTINCT r.rolname::text), NULL) FROM {} s JOIN pg_database d ON d.oid = s.dbid LEFT JOIN pg_roles r ON r.oid = s.userid WHERE d.datname = current_database() AND s.query ~* {} GROUP BY 1 ORDER BY 1",
        view,
        Literal::text(r"^\s*copy\s")
    );
    let rows = transaction.query(statements.as_str(), &[]).await.map_err(SurveyError::during(what))?;
    let seen = |row: &Row| {
        let logins: Vec<String> = row.try_get(2)?;
        Ok(SeenStatement {
            text: row.try_get(0)?,
            logins: logins.into_iter().filter_map(|login| Ident::new(login).ok()).collect(),
            calls: row.try_get(1).map(i64::unsigned_abs)?,
        })
    };
    survey.seen = rows.iter().map(seen).collect::<Result<_, _>>().map_err(SurveyError::during(what))?;
    Ok(())
}

fn code(row: &Row) -> Result<Code, tokio_postgres::Error> {
    let text = |at: usize| row.try_get::<_, Option<String>>(at);
    let name = |at: usize| text(at).map(|text| text.and_then(|text| Ident::new(text).ok()));
    let (schema, table) = (name(5)?, name(6)?);
    Ok(Code {
        function: row.try_get(0)?,
        language: row.try_get(1)?,
        parsed: row.try_get(2)?,
        source: text(3)?.unwrap_or_default(),
        returns_rows: row.try_get(4)?,
        returns: schema.zip(table).map(|(schema, table)| QualifiedName::new(schema, table)),
    })
}
