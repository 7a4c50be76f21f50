//! Two tenants that belong to nobody try to reach each other, in every scoped table that the login can reach.
//!
//! They and their rows are made by `migrations/0003_watch`. What is written is rolled back with the transaction it is written in. PostgreSQL
//! asks policies before constraints: 42501 is the policy's no, a constraint's error means that it said yes.

use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow, error::SqlState};

use super::{Outcome, Probe};
use crate::{Error, TenantId, TenantPool, TenantTx, bound, lease::Lease};

const CANARIES: &str = "SELECT tenant FROM bastide.canaries() ORDER BY name";

const COLUMNS: &str = "SELECT s.schema, s.\"table\", s.tenant_column, a.attname AS column, \
    pg_catalog.has_column_privilege(session_user, c.oid, a.attnum, 'SELECT') AS readable, \
    pg_catalog.has_column_privilege(session_user, c.oid, a.attnum, 'INSERT') AS insertable, \
    pg_catalog.has_column_privilege(session_user, c.oid, a.attnum, 'UPDATE') AS updatable \
    FROM bastide.scoped_tables s \
    JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema \
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.\"table\" \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
    WHERE pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE') \
      AND pg_catalog.has_any_column_privilege(session_user, c.oid, 'SELECT') ORDER BY 1, 2, a.attnum";

struct Table {
    name: QualifiedName,
    tenant: Ident,
    readable: Vec<Ident>,
    insertable: Vec<Ident>,
    updatable: Vec<Ident>,
}

/// What one canary saw in one table.
#[derive(Clone, PartialEq, Eq)]
enum Sight {
    Others,
    /// Nobody else's, and whether a row of its own.
    Own(bool),
    Unknown(String),
}

pub(super) async fn attempt(pool: &TenantPool, probes: &mut Vec<Probe>) -> Result<(), Error> {
    let lease = pool.lease(None).await?;
    let ground = ground(&lease).await;
    let (canaries, tables) = match ground {
        Ok(ground) => ground,
        Err(why) => {
            lease.settle();
            probes.push(Probe::new("canary", None, Outcome::Untested(why?)));
            return Ok(());
        }
    };
    unset(&lease, &tables, probes).await?;
    lease.settle();

    let mut sights = Vec::new();
    for canary in &canaries {
        sights.push(look_around(pool, canary, &tables).await?);
    }
    let [first, second] = &sights[..] else { return Ok(()) };
    for (table, (a, b)) in tables.iter().zip(first.iter().zip(second)) {
        let mut probe = table.probe("read_other", seen(a, b));
        probe.mended = matches!((a, b), (Sight::Own(_), Sight::Own(_)));
        probes.push(probe);
    }
    write(pool, &canaries, tables.iter().zip(first), probes).await
}

/// The two tenants and the tables; else why there is nothing to stand on.
async fn ground(lease: &Lease) -> Result<([TenantId; 2], Vec<Table>), Result<String, Error>> {
    let missing = |error: tokio_postgres::Error, what: &str| match error.code() {
        Some(code) => Ok(format!("{what} (SQLSTATE {})", code.code())),
        None => Err(Error::from(error)),
    };
    let canaries = bound::ask(lease, &Sql::trusted(CANARIES)).await.map_err(|error| {
        missing(error, "there are no canaries: type `bastide schema up`, which applies migrations/0003_watch")
    })?;
    let canaries: Vec<TenantId> =
        canaries.iter().filter_map(|row| TenantId::new(bound::text(row, "tenant")).ok()).collect();
    let canaries: [TenantId; 2] = canaries.try_into().map_err(|_| {
        Ok("bastide.canaries() does not name two tenants; undo migrations/0003_watch with `bastide schema down --to 2`, and apply it again with `bastide schema up`".to_owned())
    })?;
    let columns = bound::ask(lease, &Sql::trusted(COLUMNS))
        .await
        .map_err(|error| missing(error, "the login cannot read bastide.scoped_tables"))?;
    let tables = tables(&columns).map_err(Err)?;
    if tables.is_empty() {
        return Err(Ok("the login can reach none of the scoped tables".to_owned()));
    }
    Ok((canaries, tables))
}

fn tables(columns: &[SimpleQueryRow]) -> Result<Vec<Table>, Error> {
    let mut tables: Vec<Table> = Vec::new();
    for row in columns {
        let name = bound::table(row)?;
        if tables.last().is_none_or(|table| table.name != name) {
            let tenant = bound::ident(row, "tenant_column")?;
            let (readable, insertable, updatable) = Default::default();
            tables.push(Table { name, tenant, readable, insertable, updatable });
        }
        let column = bound::ident(row, "column")?;
        if let Some(table) = tables.last_mut() {
            for (privilege, list) in [
                ("readable", &mut table.readable),
                ("insertable", &mut table.insertable),
                ("updatable", &mut table.updatable),
            ] {
                if bound::flag(row, privilege) {
                    list.push(column.clone());
                }
            }
        }
    }
    Ok(tables)
}

/// Without a context no table has a row.
async fn unset(lease: &Lease, tables: &[Table], probes: &mut Vec<Probe>) -> Result<(), Error> {
    lease.batch_execute("BEGIN READ ONLY").await?;
    for table in tables {
        let any = tried(lease, &sql!("SELECT EXISTS (SELECT FROM {}) AS any", table.name)).await?;
        probes.push(table.probe(
            "read_unset",
            match any {
                Ok(answer) if answer.truth() => {
                    Outcome::Breached("without a tenant context rows are seen".to_owned())
                }
                Ok(_) => Outcome::Held,
                Err(code) => Outcome::Untested(refused(&code)),
            },
        ));
    }
    Ok(lease.batch_execute("ROLLBACK").await?)
}

async fn look_around(pool: &TenantPool, canary: &TenantId, tables: &[Table]) -> Result<Vec<Sight>, Error> {
    let tx = pool.begin(canary).await?;
    let mut sights = Vec::new();
    for table in tables {
        sights.push(look_at(&tx, table, canary).await?);
    }
    tx.rollback().await?;
    Ok(sights)
}

async fn look_at(tx: &TenantTx, table: &Table, canary: &TenantId) -> Result<Sight, Error> {
    let me = Literal::text(canary.as_str());
    // First the question that is answered by the first row of anybody else, should nothing filter.
    let others = sql!(
        "SELECT EXISTS (SELECT FROM {} WHERE {} IS DISTINCT FROM {}) AS any",
        table.name,
        table.tenant,
        me
    );
    match tried(tx.lease(), &others).await? {
        Ok(answer) if answer.truth() => return Ok(Sight::Others),
        Ok(_) => {}
        Err(code) => return Ok(Sight::Unknown(refused(&code))),
    }
    let own = sql!("SELECT EXISTS (SELECT FROM {} WHERE {} = {}) AS any", table.name, table.tenant, me);
    Ok(match tried(tx.lease(), &own).await? {
        Ok(answer) => Sight::Own(answer.truth()),
        Err(code) => Sight::Unknown(refused(&code)),
    })
}

/// That neither sees the other says something only where both have a row.
fn seen(a: &Sight, b: &Sight) -> Outcome {
    match (a, b) {
        (Sight::Others, _) | (_, Sight::Others) => {
            Outcome::Breached("a canary sees rows of other tenants".to_owned())
        }
        (Sight::Unknown(why), _) | (_, Sight::Unknown(why)) => Outcome::Untested(why.clone()),
        (Sight::Own(true), Sight::Own(true)) => Outcome::Held,
        (Sight::Own(false), Sight::Own(false)) => {
            Outcome::Untested("the canaries have no rows in it".to_owned())
        }
        _ => Outcome::Untested("one of the canaries has no row in it".to_owned()),
    }
}

/// As the first canary, in tables where it has a row: plant a copy with the other, or give it away. Both read by the tenant
/// column, so that no attempt touches rows of anybody else, however weak the walls are.
async fn write(
    pool: &TenantPool,
    [own, other]: &[TenantId; 2],
    tables: impl Iterator<Item = (&Table, &Sight)>,
    probes: &mut Vec<Probe>,
) -> Result<(), Error> {
    let tx = pool.begin(own).await?;
    for (table, sight) in tables {
        for (name, may, statement) in [
            ("insert_other", &table.insertable, Table::copy as fn(&Table, _, _) -> Sql),
            ("move_other", &table.updatable, Table::give),
        ] {
            let outcome = match sight {
                Sight::Others => Outcome::Untested("not tried where other tenants' rows are seen".to_owned()),
                Sight::Unknown(why) => Outcome::Untested(why.clone()),
                Sight::Own(false) => Outcome::Untested("the canary has no row in it".to_owned()),
                Sight::Own(true) if !may.contains(&table.tenant) => {
                    Outcome::Untested("the login may not write the tenant column".to_owned())
                }
                Sight::Own(true) => {
                    let control = written(&tx, table, own, statement(table, own, own)).await?;
                    let crossing = written(&tx, table, own, statement(table, own, other)).await?;
                    judge(&control, &crossing)
                }
            };
            probes.push(table.probe(name, outcome));
        }
    }
    tx.rollback().await
}

/// What a write did: how many rows, and how many more of the writer's own there are after it.
type Written = Result<(u64, i64), SqlState>;

async fn written(tx: &TenantTx, table: &Table, own: &TenantId, statement: Sql) -> Result<Written, Error> {
    let me = Literal::text(own.as_str());
    let count = sql!("SELECT pg_catalog.count(*) AS own FROM {} WHERE {} = {}", table.name, table.tenant, me);
    let answer = tried(tx.lease(), &sql!("{}; {}; {}", count, statement, count)).await?;
    Ok(answer.map(|answer| {
        let own: Vec<i64> = answer.rows.iter().filter_map(|row| row.get("own")?.parse().ok()).collect();
        (answer.affected.get(1).copied().unwrap_or(0), own.last().unwrap_or(&0) - own.first().unwrap_or(&0))
    }))
}

fn judge(control: &Written, crossing: &Written) -> Outcome {
    let constraint = |code: &SqlState| code.code().starts_with("23");
    match control {
        Ok((1.., _)) => {}
        Err(code) if constraint(code) => {}
        Ok(_) => return Outcome::Untested("the same write for itself wrote nothing".to_owned()),
        Err(code) => return Outcome::Untested(format!("the same write for itself: {}", refused(code))),
    }
    match crossing {
        Err(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Outcome::Held,
        Err(code) if constraint(code) => Outcome::Breached(format!(
            "only a constraint (SQLSTATE {}) kept a canary from writing for another tenant",
            code.code()
        )),
        Err(code) => Outcome::Untested(refused(code)),
        Ok((0, _)) => Outcome::Untested("nothing was written, and nothing was refused".to_owned()),
        // What a trigger gave back to the writer is no crossing: a copy is one more of its own, a row given away still is its own.
        Ok((_, own)) if *own == control.as_ref().map_or(1, |(_, own)| *own) => {
            Outcome::Untested("a trigger keeps the writer's tenant".to_owned())
        }
        Ok(_) => Outcome::Breached("a canary wrote for another tenant (rolled back)".to_owned()),
    }
}

impl Table {
    fn probe(&self, name: &'static str, outcome: Outcome) -> Probe {
        Probe::new(name, Some(self.name.to_string()), outcome)
    }

    fn copy(&self, from: &TenantId, to: &TenantId) -> Sql {
        let columns: Vec<&Ident> =
            self.insertable.iter().filter(|column| self.readable.contains(column)).collect();
        let to = Literal::text(to.as_str());
        let values = columns
            .iter()
            .map(|column| if **column == self.tenant { sql!("{}", to) } else { sql!("{}", column) });
        sql!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} WHERE {} = {} LIMIT 1",
            self.name,
            join(columns.iter().copied(), ", "),
            join(values, ", "),
            self.name,
            self.tenant,
            Literal::text(from.as_str())
        )
    }

    fn give(&self, from: &TenantId, to: &TenantId) -> Sql {
        sql!(
            "UPDATE {} SET {} = {} WHERE {} = {}",
            self.name,
            self.tenant,
            Literal::text(to.as_str()),
            self.tenant,
            Literal::text(from.as_str())
        )
    }
}

#[derive(Default)]
struct Answer {
    rows: Vec<SimpleQueryRow>,
    affected: Vec<u64>,
}

impl Answer {
    fn truth(&self) -> bool {
        self.rows.iter().any(|row| bound::flag(row, "any"))
    }
}

/// Runs statements and takes back what they did. The server's no is an answer; that there is none, an error.
async fn tried(lease: &Lease, statements: &Sql) -> Result<Result<Answer, SqlState>, Error> {
    lease.batch_execute("SAVEPOINT attempt").await?;
    let outcome = lease.simple_query(statements.as_str()).await;
    let answer = match outcome {
        Ok(messages) => Ok(messages.into_iter().fold(Answer::default(), |mut answer, message| {
            match message {
                SimpleQueryMessage::Row(row) => answer.rows.push(row),
                SimpleQueryMessage::CommandComplete(count) => answer.affected.push(count),
                _ => {}
            }
            answer
        })),
        Err(error) => Err(error.code().cloned().ok_or(error)?),
    };
    lease.batch_execute("ROLLBACK TO SAVEPOINT attempt").await?;
    Ok(answer)
}

fn refused(code: &SqlState) -> String {
    format!("the database refused the attempt (SQLSTATE {})", code.code())
}
