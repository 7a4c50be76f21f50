//! Roles of the whole cluster, and what they grant by default.

use std::collections::BTreeMap;

use bastide_sql::Ident;

use super::{
    ReadError,
    acl::{Acls, Holder},
    rows::Reader,
};
use crate::{DefaultPrivilege, Role};

// Since 16 a membership may withhold SET and INHERIT; we keep it all the same, because who granted it can grant those.
// DISTINCT: since 16 one membership may stand there once for each grantor.
const ROLES: &str = "
SELECT r.rolname AS name,
       r.rolsuper AS superuser,
       r.rolbypassrls AS bypass_rls,
       r.rolcreaterole AS create_role,
       r.rolcreatedb AS create_db,
       r.rolreplication AS replication,
       r.rolcanlogin AS login,
       r.rolinherit AS inherit,
       ARRAY(SELECT DISTINCT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid ORDER BY g.rolname) AS member_of,
       ARRAY(SELECT setting
             FROM pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY AS c (setting, position)
             WHERE s.setrole = r.oid
               AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
             ORDER BY s.setdatabase, c.position) AS settings
FROM pg_roles r";

const DEFAULT_PRIVILEGES: &str = "
SELECT d.oid, pg_get_userbyid(d.defaclrole) AS role, n.nspname AS schema, d.defaclobjtype::text AS object
FROM pg_default_acl d
LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
WHERE n.nspname IS DISTINCT FROM 'bastide'
ORDER BY role, schema NULLS FIRST, object";

pub(super) async fn read(reader: &Reader<'_>) -> Result<BTreeMap<Ident, Role>, ReadError> {
    let mut roles = BTreeMap::new();
    for row in reader.rows("roles", ROLES, &[]).await? {
        let role = Role {
            superuser: row.get("superuser")?,
            bypass_rls: row.get("bypass_rls")?,
            create_role: row.get("create_role")?,
            create_db: row.get("create_db")?,
            replication: row.get("replication")?,
            login: row.get("login")?,
            inherit: row.get("inherit")?,
            member_of: row.idents("member_of")?,
            settings: row.get("settings")?,
        };
        roles.insert(row.ident("name")?, role);
    }
    Ok(roles)
}

pub(super) async fn read_default_privileges(
    reader: &Reader<'_>,
    acls: &Acls,
) -> Result<Vec<DefaultPrivilege>, ReadError> {
    let mut privileges = Vec::new();
    for row in reader.rows("default privileges", DEFAULT_PRIVILEGES, &[]).await? {
        let object: String = row.get("object")?;
        let unknown = ReadError::Unknown { what: row.what, column: "object", value: object.clone() };
        privileges.push(DefaultPrivilege {
            role: row.ident("role")?,
            schema: row.ident_or_none("schema")?,
            object: object.chars().next().ok_or(unknown)?,
            acl: acls.of(Holder::Default(row.get("oid")?)).unwrap_or_default(),
        });
    }
    Ok(privileges)
}
