//! What stands around the tables: functions that policies call, keys and triggers that are switched off, sequences, large
//! objects, foreign servers, parameters, and what the server withholds from PUBLIC.

use std::collections::{BTreeMap, BTreeSet};

use bastide_sql::{Ident, QualifiedName};
use tokio_postgres::{Row, Transaction, types::ToSql};

use crate::VerifyError;

/// See the fields of each for what it is evidence of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Functions and operators that policies depend on, as `pg_describe_object` words them, by table and policy; not
    /// `bastide.current_tenant()`, and none of the server's own or an extension's.
    pub(crate) policy_calls: BTreeMap<(QualifiedName, Ident), Vec<String>>,
    pub(crate) triggers_off: Vec<TriggerOff>,
    /// Foreign keys declared NOT ENFORCED (PostgreSQL 18), by table and name.
    pub(crate) not_enforced: BTreeSet<(QualifiedName, Ident)>,
    /// Privileges of the application's roles on sequences.
    pub(crate) sequences: BTreeMap<QualifiedName, BTreeSet<String>>,
    pub(crate) large_objects: Vec<LargeObject>,
    /// Large objects have no privileges at all.
    pub(crate) lo_compat: bool,
    pub(crate) foreign: Vec<Foreign>,
    pub(crate) parameters: Vec<ParameterGrant>,
    pub(crate) withheld: Vec<Withheld>,
    /// Views, and the catalogs that they read and that PUBLIC may not. The server pins its catalogs, so no dependency says
    /// it; the views' own trees do.
    pub(crate) secret_reads: BTreeMap<QualifiedName, Vec<String>>,
    /// Functions of the server's own that somebody declared LEAKPROOF: `pg_catalog.name(arguments)`.
    pub(crate) leakproof_builtins: Vec<String>,
    /// Default privileges in schema `bastide`, which the catalog's snapshot leaves out.
    pub(crate) kept_defaults: Vec<KeptDefault>,
}

/// A trigger of Bastide's, or one by which the server enforces a foreign key, that does not fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TriggerOff {
    pub(crate) table: QualifiedName,
    pub(crate) name: Ident,
    /// The foreign key it enforces.
    pub(crate) foreign_key: Option<Ident>,
}

/// One that the application may read or write without owning it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LargeObject {
    pub(crate) oid: u32,
    pub(crate) privileges: String,
}

/// A foreign server or data wrapper that the application may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) name: Ident,
    pub(crate) wrapper: bool,
    /// A user mapping lends it somebody's login there.
    pub(crate) mapped: bool,
}

/// `GRANT SET` or `ALTER SYSTEM ON PARAMETER` to one of the application's roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParameterGrant {
    pub(crate) parameter: String,
    pub(crate) privilege: String,
    /// `None`: PUBLIC.
    pub(crate) grantee: Option<Ident>,
}

/// A function or relation of `pg_catalog` that PUBLIC has no such privilege on, while the application was given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// Schema included; of a function with its arguments.
    pub(crate) object: String,
    pub(crate) routine: bool,
    pub(crate) privileges: String,
}

/// What tables made later in schema `bastide` are granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptDefault {
    pub(crate) role: Ident,
    pub(crate) grantee: Option<Ident>,
    pub(crate) privileges: String,
}

const POLICY_CALLS: &str = "
    SELECT n.nspname::text, c.relname::text, p.polname::text, pg_describe_object(d.refclassid, d.refobjid, 0)
    FROM pg_policy p
    JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                    AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
    WHERE d.refobjid IS DISTINCT FROM to_regprocedure('bastide.current_tenant()')
      AND NOT EXISTS (SELECT FROM pg_depend e
                      WHERE e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e')
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4";

const TRIGGERS_OFF: &str = "
    SELECT n.nspname::text, c.relname::text, t.tgname::text, k.conname::text
    FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_proc p ON p.oid = t.tgfoid
    LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint AND k.contype = 'f'
    WHERE t.tgenabled IN ('D', 'R')
      AND (t.tgisinternal AND k.oid IS NOT NULL OR p.pronamespace = 'bastide'::regnamespace)
    ORDER BY 1, 2, 3";

// Only since 18 is there a column of that name.
const NOT_ENFORCED: &str = "
    SELECT n.nspname::text, c.relname::text, k.conname::text
    FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND (to_jsonb(k) ->> 'conenforced')::boolean IS FALSE";

const SEQUENCES: &str = "
    SELECT n.nspname::text, c.relname::text, p.privilege
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN unnest(ARRAY['SELECT', 'USAGE', 'UPDATE']) AS p(privilege)
    WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND EXISTS (SELECT FROM pg_roles r
                  WHERE r.rolname = ANY($1) AND has_schema_privilege(r.oid, n.oid, 'USAGE')
                    AND has_sequence_privilege(r.oid, c.oid, p.privilege))";

const LARGE_OBJECTS: &str = "
    SELECT l.oid, string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)
    FROM pg_largeobject_metadata l CROSS JOIN LATERAL aclexplode(l.lomacl) a
    LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee <> l.lomowner AND (a.grantee = 0 OR r.rolname = ANY($1))
    GROUP BY 1 ORDER BY 1 LIMIT 50";

const FOREIGN: &str = "
    SELECT s.srvname::text, false,
           EXISTS (SELECT FROM pg_user_mappings m LEFT JOIN pg_roles r ON r.oid = m.umuser
                   WHERE m.srvid = s.oid AND (m.umuser = 0 OR r.rolname = ANY($1)))
    FROM pg_foreign_server s
    WHERE EXISTS (SELECT FROM pg_roles r WHERE r.rolname = ANY($1) AND has_server_privilege(r.oid, s.oid, 'USAGE'))
    UNION ALL
    SELECT w.fdwname::text, true, false FROM pg_foreign_data_wrapper w
    WHERE EXISTS (SELECT FROM pg_roles r
                  WHERE r.rolname = ANY($1) AND has_foreign_data_wrapper_privilege(r.oid, w.oid, 'USAGE'))
    ORDER BY 1";

const PARAMETERS: &str = "
    SELECT p.parname, a.privilege_type, r.rolname::text
    FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee = 0 OR r.rolname = ANY($1)
    ORDER BY 1, 2, 3";

const SECRET_READS: &str = "
    SELECT n.nspname::text, c.relname::text, format('pg_catalog.%I', k.relname)
    FROM pg_rewrite r
    JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm') JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class k ON k.relnamespace = 'pg_catalog'::regnamespace AND k.relkind = 'r'
                   AND position(format(':relid %s ', k.oid) IN r.ev_action::text) > 0
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bastide')
      AND EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_class'::regclass AND i.objoid = k.oid)
      AND NOT EXISTS (SELECT FROM pg_init_privs i CROSS JOIN LATERAL aclexplode(i.initprivs) a
                      WHERE i.classoid = 'pg_class'::regclass AND i.objoid = k.oid AND a.grantee = 0)
    ORDER BY 1, 2, 3";

const KEPT_DEFAULTS: &str = "
    SELECT pg_get_userbyid(d.defaclrole)::text, r.rolname::text,
           string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
    FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE d.defaclnamespace = 'bastide'::regnamespace AND d.defaclobjtype = 'r'
      AND (a.grantee = 0 OR r.rolname = ANY($1))
    GROUP BY 1, 2 ORDER BY 1, 2";

pub(super) async fn read(
    transaction: &Transaction<'_>,
    roles: &[String],
) -> Result<Surroundings, VerifyError> {
    let all = async |what: &'static str, query: &str, parameters: &[&(dyn ToSql + Sync)]| {
        transaction.query(query, parameters).await.map_err(VerifyError::reading(what))
    };
    let mut found = Surroundings::default();
    for row in all("what policies call", POLICY_CALLS, &[]).await? {
        let called = found.policy_calls.entry((qualified(&row)?, ident(&row, 2)?)).or_default();
        called.push(row.get(3));
    }
    for row in all("triggers that are off", TRIGGERS_OFF, &[]).await? {
        let foreign_key = row.get::<_, Option<String>>(3).map(Ident::new).transpose()?;
        found.triggers_off.push(TriggerOff { table: qualified(&row)?, name: ident(&row, 2)?, foreign_key });
    }
    for row in all("keys that are not enforced", NOT_ENFORCED, &[]).await? {
        found.not_enforced.insert((qualified(&row)?, ident(&row, 2)?));
    }
    for row in all("privileges on sequences", SEQUENCES, &[&roles]).await? {
        found.sequences.entry(qualified(&row)?).or_default().insert(row.get(2));
    }
    for row in all("large objects", LARGE_OBJECTS, &[&roles]).await? {
        found.large_objects.push(LargeObject { oid: row.get(0), privileges: row.get(1) });
    }
    for row in all("a setting", "SELECT current_setting('lo_compat_privileges')::boolean", &[]).await? {
        found.lo_compat = row.get(0);
    }
    for row in all("foreign servers", FOREIGN, &[&roles]).await? {
        found.foreign.push(Foreign { name: ident(&row, 0)?, wrapper: row.get(1), mapped: row.get(2) });
    }
    for row in all("privileges on settings", PARAMETERS, &[&roles]).await? {
        let grantee = row.get::<_, Option<String>>(2).map(Ident::new).transpose()?;
        found.parameters.push(ParameterGrant { parameter: row.get(0), privilege: row.get(1), grantee });
    }
    for row in all("privileges on the server's own objects", bastide_catalog::WITHHELD, &[&roles]).await? {
        found.withheld.push(Withheld { object: row.get(0), routine: row.get(1), privileges: row.get(2) });
    }
    for row in all("what views read of the server's own", SECRET_READS, &[]).await? {
        found.secret_reads.entry(qualified(&row)?).or_default().push(row.get(2));
    }
    for row in all("leakproof functions", bastide_catalog::LEAKPROOF_BUILTINS, &[]).await? {
        found.leakproof_builtins.push(row.get(0));
    }
    for row in all("default privileges in `bastide`", KEPT_DEFAULTS, &[&roles]).await? {
        let grantee = row.get::<_, Option<String>>(1).map(Ident::new).transpose()?;
        found.kept_defaults.push(KeptDefault { role: ident(&row, 0)?, grantee, privileges: row.get(2) });
    }
    Ok(found)
}

fn ident(row: &Row, at: usize) -> Result<Ident, VerifyError> {
    Ok(Ident::new(row.get::<_, String>(at))?)
}

fn qualified(row: &Row) -> Result<QualifiedName, VerifyError> {
    Ok(QualifiedName::new(ident(row, 0)?, ident(row, 1)?))
}
