//! Functions, procedures and aggregates; those of extensions too, because the application can call them.

use super::{
    ReadError,
    acl::{Acls, Holder},
    rows::Reader,
};
use crate::{Function, FunctionKind, Volatility};

const FUNCTIONS: &str = "
SELECT p.oid,
       n.nspname AS schema,
       p.proname AS name,
       pg_get_function_identity_arguments(p.oid) AS arguments,
       p.prokind::text AS kind,
       pg_get_userbyid(p.proowner) AS owner,
       p.prosecdef AS security_definer,
       p.proleakproof AS leakproof,
       p.provolatile::text AS volatility,
       l.lanname AS language,
       coalesce(p.proconfig, '{}') AS settings,
       p.prorettype = 'trigger'::regtype AS returns_trigger,
       e.extname AS extension,
       coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) AS source
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                     AND d.refclassid = 'pg_extension'::regclass
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bastide')
ORDER BY n.nspname, p.proname, arguments";

pub(super) async fn read(reader: &Reader<'_>, acls: &Acls) -> Result<Vec<Function>, ReadError> {
    let mut functions = Vec::new();
    for row in reader.rows("functions", FUNCTIONS, &[]).await? {
        functions.push(Function {
            name: row.qualified("schema", "name")?,
            arguments: row.definition("arguments")?,
            kind: row.code(
                "kind",
                &[
                    ("f", FunctionKind::Function),
                    ("p", FunctionKind::Procedure),
                    ("a", FunctionKind::Aggregate),
                    ("w", FunctionKind::Window),
                ],
            )?,
            owner: row.ident("owner")?,
            acl: acls.of(Holder::Function(row.get("oid")?)),
            security_definer: row.get("security_definer")?,
            leakproof: row.get("leakproof")?,
            volatility: row.code(
                "volatility",
                &[("i", Volatility::Immutable), ("s", Volatility::Stable), ("v", Volatility::Volatile)],
            )?,
            language: row.get("language")?,
            settings: row.get("settings")?,
            returns_trigger: row.get("returns_trigger")?,
            extension: row.get("extension")?,
            source: row.get("source")?,
        });
    }
    Ok(functions)
}
