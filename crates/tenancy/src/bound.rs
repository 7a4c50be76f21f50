//! Whether row-level security binds the login we serve with.

use bastide_sql::{Ident, QualifiedName, Sql, sql};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow, error::SqlState};

use crate::{Error, lease::Lease};

/// Why this login must not serve. Each sentence says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbound {
    #[error(
        "the login {0} is a superuser, which row-level security never binds; serve with the application's login (bastide_app unless you chose another)"
    )]
    Superuser(String),
    #[error(
        "the login {0} has BYPASSRLS; serve with the application's login, or take the attribute away: ALTER ROLE … NOBYPASSRLS"
    )]
    BypassRls(String),
    #[error(
        "the login {login} is a member of {role}, which row-level security does not bind; revoke that membership"
    )]
    Member { login: String, role: String },
    #[error(
        "the login {login} owns {table}, or is a member of its owner {owner}; an application's login must own nothing"
    )]
    Owner { login: String, table: String, owner: String },
    #[error("row-level security does not bind {login} on {table}; run `bastide rls validate`")]
    Unfiltered { login: String, table: String },
    #[error(
        "a tenant context is preset for {login} on this database; remove it: ALTER ROLE … RESET bastide.tenant, and ALTER DATABASE … RESET bastide.tenant"
    )]
    Preset { login: String },
    #[error(
        "this database has no view bastide.scoped_tables, so {login} would serve it without walls; run `bastide rls migrate` first"
    )]
    NotMigrated { login: String },
    #[error(
        "{database} takes sealed tenant contexts only; write its keys to a file with `bastide context export`, and name that in BASTIDE_SEAL_KEY_FILE"
    )]
    Sealed { database: String },
    #[error(
        "{database} takes plain tenant contexts, and BASTIDE_SEAL_KEY_FILE names keys to seal them with; leave it out, or plan with sealed_context = true in bastide.toml"
    )]
    NotSealed { database: String },
    #[error(
        "{database} does not open what key {id} seals: the key was retired or is another database's, or the clocks are a minute apart; `bastide context keys` lists those it knows"
    )]
    UnknownSealKey { database: String, id: u32 },
    #[error(
        "{login} can reach none of the scoped tables, so nothing shows that it is bound; check its grants with `bastide rls validate`"
    )]
    NothingReached { login: String },
}

const LOGIN: &str = "SELECT r.rolname, r.rolsuper, r.rolbypassrls, \
    (SELECT min(p.rolname) FROM pg_catalog.pg_roles p WHERE p.oid <> r.oid AND (p.rolsuper OR p.rolbypassrls) \
        AND pg_catalog.pg_has_role(r.oid, p.oid, 'MEMBER')) AS unbound_role, \
    coalesce(pg_catalog.current_setting('bastide.tenant', true), '') <> '' AS preset \
    FROM pg_catalog.pg_roles r WHERE r.rolname = session_user";

const SCOPED: &str = "SELECT s.schema, s.\"table\", o.rolname AS owner, \
    pg_catalog.pg_has_role(session_user, c.relowner, 'MEMBER') AS owned, \
    pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE') \
        AND pg_catalog.has_any_column_privilege(session_user, c.oid, 'SELECT') AS reachable \
    FROM bastide.scoped_tables s \
    JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema \
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.\"table\" \
    JOIN pg_catalog.pg_roles o ON o.oid = c.relowner ORDER BY 1, 2";

/// Where the login may not read that view: the tables that have a tenant policy, which every login can see. Weaker, as a table whose
/// policy was dropped is missing from it; `bastide rls validate` finds such.
const PROTECTED: &str = "SELECT n.nspname AS schema, c.relname AS \"table\", o.rolname AS owner, \
    pg_catalog.pg_has_role(session_user, c.relowner, 'MEMBER') AS owned, \
    pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE') \
        AND pg_catalog.has_any_column_privilege(session_user, c.oid, 'SELECT') AS reachable \
    FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_roles o ON o.oid = c.relowner WHERE p.polname = 'bastide_tenant' ORDER BY 1, 2";

/// Text protocol throughout: works the same behind any pooler.
pub(crate) async fn check(lease: &Lease) -> Result<(), Error> {
    let rows = rows(lease, LOGIN).await?;
    let row =
        rows.first().ok_or_else(|| Error::Mismatch("the server does not know its own login".to_owned()))?;
    let login =
        Ident::new(text(row, "rolname")).map_or_else(|_| text(row, "rolname"), |name| name.to_string());
    if flag(row, "rolsuper") {
        return Err(Unbound::Superuser(login).into());
    }
    if flag(row, "rolbypassrls") {
        return Err(Unbound::BypassRls(login).into());
    }
    if let Some(role) = row.get("unbound_role") {
        return Err(Unbound::Member { login, role: role.to_owned() }.into());
    }
    if flag(row, "preset") {
        return Err(Unbound::Preset { login }.into());
    }

    let mut reached = 0_usize;
    for row in scoped(lease, &login).await? {
        let table = table(&row)?;
        if flag(&row, "owned") {
            return Err(Unbound::Owner { login, table: table.to_string(), owner: text(&row, "owner") }.into());
        }
        if flag(&row, "reachable") {
            probe(lease, &login, &table).await?;
            reached += 1;
        }
    }
    if reached == 0 {
        return Err(Unbound::NothingReached { login }.into());
    }
    Ok(())
}

/// With `row_security = off` a filtered read becomes an error instead. So the same SELECT that works with it on must raise 42501
/// with it off; when it does not, no filter stands between this login and the table.
async fn probe(lease: &Lease, login: &str, table: &QualifiedName) -> Result<(), Error> {
    let control = sql!("BEGIN READ ONLY; SELECT 1 FROM {} LIMIT 0", table);
    let outcome = match lease.batch_execute(control.as_str()).await {
        Ok(()) => {
            let without = sql!("SET LOCAL row_security = off; SELECT 1 FROM {} LIMIT 0", table);
            lease.batch_execute(without.as_str()).await
        }
        Err(error) => {
            lease.batch_execute("ROLLBACK").await?;
            return Err(error.into());
        }
    };
    lease.batch_execute("ROLLBACK").await?;
    match outcome {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(Unbound::Unfiltered { login: login.to_owned(), table: table.to_string() }.into()),
    }
}

async fn scoped(lease: &Lease, login: &str) -> Result<Vec<SimpleQueryRow>, Error> {
    match rows(lease, SCOPED).await {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Ok(rows(lease, PROTECTED).await?)
        }
        Err(error)
            if [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME]
                .iter()
                .any(|code| error.code() == Some(code)) =>
        {
            Err(Unbound::NotMigrated { login: login.to_owned() }.into())
        }
        outcome => Ok(outcome?),
    }
}

async fn rows(lease: &Lease, sql: &'static str) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
    ask(lease, &Sql::trusted(sql)).await
}

pub(crate) async fn ask(lease: &Lease, sql: &Sql) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
    let messages = lease.simple_query(sql.as_str()).await?;
    Ok(messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect())
}

pub(crate) fn table(row: &SimpleQueryRow) -> Result<QualifiedName, Error> {
    Ok(QualifiedName::new(ident(row, "schema")?, ident(row, "table")?))
}

pub(crate) fn ident(row: &SimpleQueryRow, column: &str) -> Result<Ident, Error> {
    Ident::new(text(row, column)).map_err(|error| Error::Mismatch(error.to_string()))
}

pub(crate) fn text(row: &SimpleQueryRow, column: &str) -> String {
    row.get(column).unwrap_or_default().to_owned()
}

pub(crate) fn flag(row: &SimpleQueryRow, column: &str) -> bool {
    row.get(column) == Some("t")
}
