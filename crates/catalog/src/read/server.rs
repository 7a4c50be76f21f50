//! The server, the database and its schemas.

use std::collections::BTreeMap;

use bastide_sql::Ident;

use super::{
    ReadError,
    acl::{Acls, Holder},
    rows::Reader,
};
use crate::{Schema, Server};

const SERVER: &str = "
SELECT current_setting('server_version_num')::int4 AS version,
       d.datname AS database,
       current_user::text AS current_user,
       d.oid AS database_oid,
       pg_get_userbyid(d.datdba) AS database_owner,
       coalesce(s.setconfig, '{}') AS settings,
       EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname = 'bastide' AND p.proname = 'open_seal') AS sealed_context,
       has_function_privilege('pg_control_system()', 'EXECUTE') AS may_identify
FROM pg_database d
LEFT JOIN pg_db_role_setting s ON s.setdatabase = d.oid AND s.setrole = 0
WHERE d.datname = current_database()";

// A query of its own: the right to call is checked even where a CASE would not get to the call.
const IDENTITY: &str = "SELECT system_identifier::text AS identity FROM pg_control_system()";

const EXTENSIONS: &str = "SELECT extname AS name, extversion AS version FROM pg_extension";

// PostgreSQL 14 has no such grants, and no such catalog.
const PUBLIC_PARAMETERS: &str = "
SELECT DISTINCT p.parname AS name
FROM pg_parameter_acl p, aclexplode(p.paracl) a
WHERE a.grantee = 0 AND a.privilege_type = 'SET'
ORDER BY 1";

const SCHEMAS: &str = "
SELECT n.oid, n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner
FROM pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bastide')
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')";

pub(super) async fn read(reader: &Reader<'_>, acls: &Acls) -> Result<Server, ReadError> {
    let row = reader.row("the server's version and database", SERVER).await?;
    let system_identifier = if row.get("may_identify")? {
        Some(reader.row("the server's identity", IDENTITY).await?.get("identity")?)
    } else {
        None
    };
    let mut extensions = BTreeMap::new();
    for extension in reader.rows("extensions", EXTENSIONS, &[]).await? {
        extensions.insert(extension.get("name")?, extension.get("version")?);
    }
    let version: i32 = row.get("version")?;
    let database_oid = row.get("database_oid")?;
    let mut public_parameters = Vec::new();
    if version >= 150_000 {
        for parameter in reader.rows("parameters that PUBLIC may set", PUBLIC_PARAMETERS, &[]).await? {
            public_parameters.push(parameter.get("name")?);
        }
    }
    Ok(Server {
        version: version.unsigned_abs(),
        database: row.ident("database")?,
        current_user: row.ident("current_user")?,
        system_identifier,
        database_oid,
        database_owner: row.ident("database_owner")?,
        database_acl: acls.of(Holder::Database(database_oid)),
        database_settings: row.get("settings")?,
        public_parameters,
        sealed_context: row.get("sealed_context")?,
        extensions,
    })
}

pub(super) async fn read_schemas(
    reader: &Reader<'_>,
    acls: &Acls,
) -> Result<BTreeMap<Ident, Schema>, ReadError> {
    let mut schemas = BTreeMap::new();
    for row in reader.rows("schemas", SCHEMAS, &[]).await? {
        let schema = Schema { owner: row.ident("owner")?, acl: acls.of(Holder::Schema(row.get("oid")?)) };
        schemas.insert(row.ident("name")?, schema);
    }
    Ok(schemas)
}
