//! The functions of schema `bastide`: the catalog snapshot leaves them out, and everything rests on them.

use bastide_sql::Ident;
use tokio_postgres::Transaction;

use crate::VerifyError;

/// One function of schema `bastide`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptFunction {
    pub(crate) name: Ident,
    /// `pg_get_function_identity_arguments`
    pub(crate) arguments: String,
    pub(crate) owner: Ident,
    pub(crate) security_definer: bool,
    pub(crate) leakproof: bool,
    /// `i`, `s` or `v`, as in `pg_proc`.
    pub(crate) volatility: String,
    pub(crate) parallel_safe: bool,
    /// `proconfig`: what it sets for itself while it runs.
    pub(crate) settings: Vec<String>,
    pub(crate) returns_trigger: bool,
    /// One of the application's roles may call it.
    pub(crate) callable: bool,
    /// A parsed body (`RETURN …`) as the server prints it; `None` for a body that is only text.
    pub(crate) parsed_body: Option<String>,
    pub(crate) source: String,
}

impl KeptFunction {
    /// `bastide.name(arguments)`
    #[must_use]
    pub(crate) fn signature(&self) -> String {
        format!("bastide.{}({})", self.name, self.arguments)
    }
}

const FUNCTIONS: &str = "
    SELECT p.proname::text, pg_get_function_identity_arguments(p.oid), pg_get_userbyid(p.proowner)::text, p.prosecdef,
           p.proleakproof, p.provolatile::text, p.proparallel = 's',
           coalesce(p.proconfig, '{}'),
           p.prorettype = 'trigger'::regtype,
           EXISTS (SELECT FROM pg_roles r
                   WHERE r.rolname = ANY($1) AND has_schema_privilege(r.oid, p.pronamespace, 'USAGE')
                     AND has_function_privilege(r.oid, p.oid, 'EXECUTE')),
           pg_get_function_sqlbody(p.oid), p.prosrc
    FROM pg_proc p
    WHERE p.pronamespace = 'bastide'::regnamespace
    ORDER BY 1, 2";

pub(super) async fn functions(
    transaction: &Transaction<'_>,
    roles: &[String],
) -> Result<Vec<KeptFunction>, VerifyError> {
    let rows = transaction
        .query(FUNCTIONS, &[&roles])
        .await
        .map_err(VerifyError::reading("the functions of `bastide`"))?;
    rows.iter()
        .map(|row| {
            Ok(KeptFunction {
                name: Ident::new(row.get::<_, String>(0))?,
                arguments: row.get(1),
                owner: Ident::new(row.get::<_, String>(2))?,
                security_definer: row.get(3),
                leakproof: row.get(4),
                volatility: row.get(5),
                parallel_safe: row.get(6),
                settings: row.get(7),
                returns_trigger: row.get(8),
                callable: row.get(9),
                parsed_body: row.get(10),
                source: row.get(11),
            })
        })
        .collect()
}
