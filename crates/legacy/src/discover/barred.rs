//! Tables that this login may not read whole, or that somebody has locked.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bastide_catalog::{Catalog, Table, TableKind};
use bastide_sql::{Ident, QualifiedName, sql};

use super::Asked;
use crate::{SurveyError, reading::Reading};

/// How long all locks together are waited for, before the tables behind them are left out.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tables that hold rows and are not read, each with why and what to do about it.
pub(super) async fn barred(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    asked: &Asked,
) -> Result<BTreeMap<QualifiedName, String>, SurveyError> {
    let mut barred = BTreeMap::new();
    let rights = rights(reading).await?;
    let login = &catalog.server.current_user;
    let held = catalog.tables.values().filter(|table| table.holds_rows() && !asked.excludes(&table.name));
    let began = Instant::now();
    for table in held {
        let why = match rights.get(&table.oid) {
            _ if table.kind == TableKind::Foreign => {
                Some("a foreign table, whose rows are elsewhere".to_owned())
            }
            Some(rights) => forbidden(table, login, *rights),
            None => Some("dropped meanwhile".to_owned()),
        };
        let why = match why {
            Some(why) => Some(why),
            None => locked(reading, table, began).await?,
        };
        if let Some(why) = why {
            barred.insert(table.name.clone(), why);
        }
    }
    Ok(barred)
}

/// The table with those it is one table with to whoever reads them: partitions and inheritance, up and down.
pub(super) fn family(catalog: &Catalog, table: &QualifiedName) -> BTreeSet<QualifiedName> {
    let mut family = BTreeSet::from([table.clone()]);
    let mut open = vec![table.clone()];
    while let Some(next) = open.pop() {
        let Some(table) = catalog.table(&next) else { continue };
        for relative in table.parents.iter().chain(&table.children) {
            if family.insert(relative.clone()) {
                open.push(relative.clone());
            }
        }
    }
    family
}

#[derive(Clone, Copy)]
struct Rights {
    schema: bool,
    read: bool,
    filtered: bool,
}

async fn rights(reading: &Reading<'_>) -> Result<BTreeMap<u32, Rights>, SurveyError> {
    let what = "look which tables may be read";
    let query = sql!(
        "SELECT c.oid, has_schema_privilege(c.relnamespace, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
FROM pg_class AS c WHERE c.relkind IN ('r', 'f')"
    );
    let mut found = BTreeMap::new();
    for row in reading.query(&query, what).await? {
        let read = || {
            let rights = Rights { schema: row.try_get(1)?, read: row.try_get(2)?, filtered: row.try_get(3)? };
            Ok((row.try_get::<_, u32>(0)?, rights))
        };
        let (oid, rights) = read().map_err(SurveyError::during(what))?;
        found.insert(oid, rights);
    }
    Ok(found)
}

fn forbidden(table: &Table, login: &Ident, rights: Rights) -> Option<String> {
    let name = &table.name;
    if !rights.schema {
        return Some(format!(
            "{login} may not use its schema: GRANT USAGE ON SCHEMA {} TO {login}",
            name.schema
        ));
    }
    if !rights.read {
        return Some(format!("{login} may not read it: GRANT SELECT ON {name} TO {login}"));
    }
    rights.filtered.then(|| {
        format!(
            "row security hides rows of it from {login}, and a part is not counted: use the table's owner, or a login with \
             BYPASSRLS"
        )
    })
}

/// Asks for the lock that reading takes, and gives it back at once.
async fn locked(
    reading: &mut Reading<'_>,
    table: &Table,
    began: Instant,
) -> Result<Option<String>, SurveyError> {
    let what = format!("read {}", table.name);
    let left = PATIENCE.saturating_sub(began.elapsed()).as_millis().max(20);
    let part = reading.savepoint(&what).await?;
    let patience = sql!("SET LOCAL lock_timeout = {}", u64::try_from(left).unwrap_or(20));
    part.execute(&patience, &what).await?;
    let lock = sql!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", table.name);
    let asked = part.execute(&lock, &what).await;
    part.rollback(&what).await?;
    match asked {
        Ok(()) => Ok(None),
        Err(SurveyError::Locked { .. }) => Ok(Some(holder(reading, table, &what).await?)),
        Err(error) => Ok(Some(error.without_rows()?)),
    }
}

async fn holder(reading: &Reading<'_>, table: &Table, what: &str) -> Result<String, SurveyError> {
    let query = sql!(
        "SELECT a.pid, COALESCE(NULLIF(a.application_name, ''), a.usename, 'unknown')::text
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND l.relation = {} AND l.granted AND l.mode = 'AccessExclusiveLock' ORDER BY 1 LIMIT 1",
        table.oid
    );
    let rows = reading.query(&query, what).await?;
    let Some(row) = rows.first() else { return Ok("it is locked; try again".to_owned()) };
    let read = || Ok((row.try_get::<_, i32>(0)?, row.try_get::<_, String>(1)?));
    let (pid, who) = read().map_err(SurveyError::during(what))?;
    Ok(format!("it is locked by session {pid} ({who}); try again when that has ended"))
}
