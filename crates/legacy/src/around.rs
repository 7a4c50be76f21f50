//! What stands around the tables, as far as only the server can say: keys that are switched off, large objects, foreign servers,
//! and the server's own functions, where PUBLIC or the application's login gets at them.

use bastide_catalog::{LEAKPROOF_BUILTINS, WITHHELD};
use bastide_plan::{Around, KeyOff, ParameterGrant, Withheld};
use bastide_sql::{Ident, QualifiedName};
use tokio_postgres::{Row, Transaction, types::ToSql};

use crate::SurveyError;

const WHAT: &str = "look at what stands around the tables";

const KEYS_OFF: &str = "
    SELECT n.nspname::text, c.relname::text, k.conname::text, t.tgname::text
    FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_constraint k ON k.oid = t.tgconstraint AND k.contype = 'f'
    WHERE t.tgenabled IN ('D', 'R') AND t.tgisinternal
    ORDER BY 1, 2, 4";

const LARGE_OBJECTS: &str = "
    SELECT count(DISTINCT l.oid), current_setting('lo_compat_privileges')::boolean
    FROM pg_largeobject_metadata l CROSS JOIN LATERAL aclexplode(l.lomacl) a
    LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee <> l.lomowner AND (a.grantee = 0 OR r.rolname = $1)";

const FOREIGN: &str = "
    SELECT s.srvname::text, false
    FROM pg_foreign_server s
    WHERE EXISTS (SELECT FROM aclexplode(s.srvacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
                  WHERE a.privilege_type = 'USAGE' AND (a.grantee = 0 OR r.rolname = $1))
    UNION ALL
    SELECT w.fdwname::text, true
    FROM pg_foreign_data_wrapper w
    WHERE EXISTS (SELECT FROM aclexplode(w.fdwacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
                  WHERE a.privilege_type = 'USAGE' AND (a.grantee = 0 OR r.rolname = $1))
    ORDER BY 1";

const PARAMETERS: &str = "
    SELECT p.parname, a.privilege_type, r.rolname::text
    FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee = 0 OR r.rolname = $1
    ORDER BY 1, 2, 3";

pub(crate) async fn read(transaction: &Transaction<'_>, app: &Ident) -> Result<Around, SurveyError> {
    let all = async |query: &str, parameters: &[&(dyn ToSql + Sync)]| {
        transaction.query(query, parameters).await.map_err(SurveyError::during(WHAT))
    };
    let mut around = Around::default();
    for row in all(KEYS_OFF, &[]).await? {
        let names = [name(&row, 0)?, name(&row, 1)?, name(&row, 2)?, name(&row, 3)?];
        let [Some(schema), Some(table), Some(foreign_key), Some(trigger)] = names else { continue };
        let off = around.keys_off.entry(QualifiedName::new(schema, table)).or_default();
        off.push(KeyOff { foreign_key, trigger });
    }
    for row in all(LARGE_OBJECTS, &[&app.as_str()]).await? {
        around.large_objects = row.try_get(0).map(i64::unsigned_abs).map_err(SurveyError::during(WHAT))?;
        around.large_objects_open = row.try_get(1).map_err(SurveyError::during(WHAT))?;
    }
    for row in all(FOREIGN, &[&app.as_str()]).await? {
        let wrapper: bool = row.try_get(1).map_err(SurveyError::during(WHAT))?;
        let found = if wrapper { &mut around.foreign_wrappers } else { &mut around.foreign_servers };
        found.extend(name(&row, 0)?);
    }
    for (grantee, roles) in [(None, Vec::new()), (Some(app.clone()), vec![app.as_str()])] {
        for row in all(WITHHELD, &[&roles]).await? {
            let object: String = row.try_get(0).map_err(SurveyError::during(WHAT))?;
            // The second time PUBLIC's come again.
            if around.withheld.iter().all(|found: &Withheld| found.object != object) {
                around.withheld.push(Withheld {
                    object,
                    routine: row.try_get(1).map_err(SurveyError::during(WHAT))?,
                    privileges: row.try_get(2).map_err(SurveyError::during(WHAT))?,
                    grantee: grantee.clone(),
                });
            }
        }
    }
    for row in all(PARAMETERS, &[&app.as_str()]).await? {
        let text = |at: usize| row.try_get(at).map_err(SurveyError::during(WHAT));
        let grantee: Option<String> = row.try_get(2).map_err(SurveyError::during(WHAT))?;
        around.parameters.push(ParameterGrant {
            parameter: text(0)?,
            privilege: text(1)?,
            grantee: grantee.and_then(|role| Ident::new(role).ok()),
        });
    }
    for row in all(LEAKPROOF_BUILTINS, &[]).await? {
        around.leakproof_builtins.push(row.try_get(0).map_err(SurveyError::during(WHAT))?);
    }
    Ok(around)
}

fn name(row: &Row, at: usize) -> Result<Option<Ident>, SurveyError> {
    let text: String = row.try_get(at).map_err(SurveyError::during(WHAT))?;
    Ok(Ident::new(text).ok())
}
