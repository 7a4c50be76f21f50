//! One migration forward, and one back: its statements, what isolates its tables, and the record, in one transaction; or, where the
//! server wants some of them outside of one, statement by statement, each of which may run again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bastide_engine::{EngineError, MigrationGuard, OWN_SCHEMA, ServerSaid, fault_point, password_statement};
use bastide_plan::{
    Step,
    isolate::{Isolation, isolate},
    steps::GrantObject,
};
use bastide_sql::{Ident, Literal, QualifiedName, Sql, join, sql};
use tokio_postgres::{Client, GenericClient, Transaction};

use crate::{
    Applied, Migration, Options, SchemaError, State,
    loss::{Made, Relations},
    record::{self, Entry},
    statements::statements,
};

/// Belongs to no run.
const NO_RUN: &str = "00000000-0000-0000-0000-000000000000";

/// Of a login that is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Password {
    Given,
    /// It is dropped again before anybody logs in.
    None,
}

/// Applies one version; returns what was sent.
pub(crate) async fn forward(
    guard: &mut MigrationGuard,
    options: &Options,
    migration: &Migration,
    password: Password,
) -> Result<Vec<String>, SchemaError> {
    bastide_engine::ensure_owner(guard).await?;
    fault_point("before_migration", &migration.label());
    let begun = Instant::now();
    if migration.no_transaction {
        return one_by_one(guard, options, migration, password, begun).await;
    }
    tried(options, &migration.label(), guard, Direction::Forward, async |transaction| {
        house(transaction).await?;
        let before = Relations::read(transaction).await?;
        transaction.batch_execute(migration.up).await.map_err(Refused::of)?;
        finish(transaction, options, migration, password, &before, begun).await
    })
    .await
}

/// Undoes one version by what is kept of it.
pub(crate) async fn back(
    guard: &mut MigrationGuard,
    options: &Options,
    applied: &Applied,
) -> Result<(), SchemaError> {
    fault_point("before_undoing", &applied.label());
    let begun = Instant::now();
    if !applied.transaction {
        let client = guard.client();
        record::undoing(client, applied).await?;
        settle(client, options).await.map_err(SchemaError::server(SETTLING))?;
        for (at, statement) in (1..).zip(statements(&applied.down)) {
            fault_point("before_statement", &format!("{}:{at}", applied.label()));
            let done = alone(client, options, statement).await;
            done.map_err(|said| half(applied.version, applied.label(), said))?;
        }
    }
    tried(options, &applied.label(), guard, Direction::Back, async |transaction| {
        if applied.transaction {
            transaction.batch_execute(&applied.down).await.map_err(Refused::of)?;
        }
        transaction.batch_execute(FORGET_SCOPE).await.map_err(Refused::of)?;
        record::erase(transaction, applied, begun.elapsed().as_secs_f64()).await?;
        Ok(())
    })
    .await
}

/// Of tables that are not there any more.
const FORGET_SCOPE: &str = r#"DELETE FROM bastide.scope s WHERE pg_catalog.to_regclass(pg_catalog.format('%I.%I', s.schema, s."table")) IS NULL"#;

const SETTLING: &str = "preparing the session for a migration";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Back,
}

/// What went wrong inside of the transaction.
enum Refused {
    Server(ServerSaid),
    Other(SchemaError),
}

impl Refused {
    fn of(error: tokio_postgres::Error) -> Self {
        Self::Server(error.into())
    }
}

impl From<SchemaError> for Refused {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Server { said, .. } => Self::Server(said),
            other => Self::Other(other),
        }
    }
}

/// In a transaction, again and again while somebody's lock is in the way.
async fn tried<T>(
    options: &Options,
    label: &str,
    guard: &mut MigrationGuard,
    direction: Direction,
    work: impl AsyncFn(&mut Transaction<'_>) -> Result<T, Refused>,
) -> Result<T, SchemaError> {
    let (begun, mut tries) = (Instant::now(), 0);
    loop {
        tries += 1;
        let said = match once(options, label, guard, &work).await {
            Ok(done) => return Ok(done),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Server(said)) => said,
        };
        let label = label.to_owned();
        if said.lost() {
            return Err(SchemaError::Lost { label, said });
        }
        if !said.passes() {
            return Err(match direction {
                Direction::Forward => SchemaError::Failed { label, said },
                Direction::Back => SchemaError::UndoFailed { label, said },
            });
        }
        if exhausted(options, tries, begun) {
            return Err(SchemaError::Blocked { label, tries, said });
        }
        pause(tries).await;
    }
}

fn exhausted(options: &Options, tries: u32, begun: Instant) -> bool {
    let patience = options.place.patience;
    tries >= patience.tries || begun.elapsed() >= patience.total
}

/// Not in step with whoever comes again and again.
async fn pause(tries: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(20 + tries % 7 * 23))).await;
}

async fn once<T>(
    options: &Options,
    label: &str,
    guard: &mut MigrationGuard,
    work: &impl AsyncFn(&mut Transaction<'_>) -> Result<T, Refused>,
) -> Result<T, Refused> {
    let mut transaction = guard.client_mut().transaction().await.map_err(Refused::of)?;
    settle(&transaction, options).await.map_err(Refused::of)?;
    let done = work(&mut transaction).await?;
    fault_point("before_commit", label);
    transaction.commit().await.map_err(Refused::of)?;
    fault_point("after_commit", label);
    Ok(done)
}

/// What migrations find set: whom to grant to, and the run that tables are scoped on account of.
async fn settle(client: &impl GenericClient, options: &Options) -> Result<(), tokio_postgres::Error> {
    let set = sql!(
        "SELECT set_config('bastide.app_role', {}, false), set_config('bastide.run', {}, false)",
        Literal::text(options.app_role.as_str()),
        Literal::text(NO_RUN)
    );
    client.batch_execute(set.as_str()).await
}

async fn house(transaction: &Transaction<'_>) -> Result<(), Refused> {
    transaction.batch_execute(OWN_SCHEMA).await.map_err(Refused::of)?;
    transaction.batch_execute(record::TABLES).await.map_err(Refused::of)
}

async fn one_by_one(
    guard: &mut MigrationGuard,
    options: &Options,
    migration: &Migration,
    password: Password,
    begun: Instant,
) -> Result<Vec<String>, SchemaError> {
    let label = migration.label();
    let (made, said) = (Made::default(), migration.said());
    tried(options, &label, guard, Direction::Forward, async |transaction| {
        house(transaction).await?;
        let entry =
            Entry { state: State::Started, ..entry(options, migration, migration.down, &made, &said, begun) };
        Ok(record::write(transaction, &entry).await?)
    })
    .await?;
    let before = Relations::read(guard.client()).await?;
    for (at, statement) in (1..).zip(statements(migration.up)) {
        fault_point("before_statement", &format!("{label}:{at}"));
        let done = alone(guard.client(), options, statement).await;
        done.map_err(|said| half(migration.version, label.clone(), said))?;
    }
    tried(options, &label, guard, Direction::Forward, async |transaction| {
        finish(transaction, options, migration, password, &before, begun).await
    })
    .await
}

/// What is built beside traffic waits for whoever was there before, and is in nobody's way; anything else waits as briefly as in a
/// transaction.
async fn alone(client: &Client, options: &Options, statement: &str) -> Result<(), ServerSaid> {
    let beside = statement.to_ascii_uppercase().contains("CONCURRENTLY");
    let wait = if beside { "SET lock_timeout = 0" } else { "SET lock_timeout = '50ms'" };
    let (begun, mut tries) = (Instant::now(), 0);
    loop {
        tries += 1;
        client.batch_execute(wait).await?;
        let Err(said) = client.batch_execute(statement).await.map_err(ServerSaid::from) else { break };
        if beside || !said.passes() || exhausted(options, tries, begun) {
            return Err(said);
        }
        pause(tries).await;
    }
    Ok(client.batch_execute("SET lock_timeout = '50ms'").await?)
}

fn half(version: i32, label: String, said: ServerSaid) -> SchemaError {
    SchemaError::Half { label, version, said }
}

/// What comes after the migration's own statements: isolation, and the record.
async fn finish(
    transaction: &mut Transaction<'_>,
    options: &Options,
    migration: &Migration,
    password: Password,
    before: &Relations,
    begun: Instant,
) -> Result<Vec<String>, Refused> {
    let after = Relations::read(transaction).await?;
    let mut made = after.made_since(before);
    if migration.no_transaction {
        // An attempt that was interrupted made some of them.
        made.tables.extend(migration.tables.iter().map(|(table, _)| table.clone()));
    }
    let steps = steps(transaction, options, migration, before, &after).await?;
    let mut sent = vec![migration.up.trim_end().to_owned()];
    for step in &steps {
        for statement in forward_of(step) {
            transaction.batch_execute(statement.as_str()).await.map_err(Refused::of)?;
            sent.push(statement.to_string());
        }
        if let (Step::CreateAppRole(made), Password::Given) = (step, password) {
            let given = options.app_password.clone();
            let (statement, file) =
                password_statement(&options.place, &made.role, given).map_err(SchemaError::Engine)?;
            transaction.batch_execute(statement.as_str()).await.map_err(Refused::of)?;
            tracing::info!(file = %file.display(), role = %made.role, "the password of the application's login is kept");
        }
    }
    let down = undoing(&steps, migration.down);
    record::write(transaction, &entry(options, migration, &down, &made, &migration.said(), begun)).await?;
    Ok(sent)
}

fn entry<'a>(
    options: &'a Options,
    migration: &'a Migration,
    down: &'a str,
    made: &'a Made,
    said: &'a BTreeMap<String, String>,
    begun: Instant,
) -> Entry<'a> {
    Entry {
        version: migration.version,
        name: &migration.name,
        checksum: &migration.checksum,
        state: State::Done,
        transaction: !migration.no_transaction,
        down,
        made,
        said,
        adopted: None,
        app_role: options.app_role.as_str(),
        seconds: begun.elapsed().as_secs_f64(),
    }
}

async fn steps(
    transaction: &mut Transaction<'_>,
    options: &Options,
    migration: &Migration,
    before: &Relations,
    after: &Relations,
) -> Result<Vec<Step>, SchemaError> {
    let catalog = bastide_catalog::read_within(transaction).await?;
    let (root, root_column) = options.migrations.root()?;
    let scoped = scope(transaction).await?;
    let ours = |name: &&QualifiedName| name.schema.as_str() == "bastide";
    // Of what runs by itself, an earlier attempt may have made some.
    let unknown = |name: &&QualifiedName| {
        migration.no_transaction && migration.tables.iter().any(|(table, _)| table == *name)
    };
    let tables = after.tables.iter().filter(|name| !before.tables.contains(*name) || unknown(name));
    let views = after.views.difference(&before.views);
    let made: BTreeSet<QualifiedName> = tables.chain(views).filter(|name| !ours(name)).cloned().collect();
    let wanted = Isolation {
        root,
        root_column,
        app_role: &options.app_role,
        tables: &migration.tables,
        made: &made,
        scoped: &scoped,
    };
    isolate(&catalog, &wanted)
        .map_err(|why| SchemaError::Isolate { label: migration.label(), why: Box::new(why) })
}

/// The tables that are scoped, with their tenant columns.
async fn scope(client: &impl GenericClient) -> Result<BTreeMap<QualifiedName, Ident>, SchemaError> {
    let doing = "reading which tables are scoped";
    let rows = client
        .query(r#"SELECT schema, "table", tenant_column FROM bastide.scope"#, &[])
        .await
        .map_err(SchemaError::server(doing))?;
    let mut scoped = BTreeMap::new();
    for row in rows {
        let name = |at| {
            let text: String = row.try_get(at).map_err(SchemaError::server(doing))?;
            Ident::new(text).map_err(|error| SchemaError::Engine(EngineError::Preflight(error.to_string())))
        };
        scoped.insert(QualifiedName::new(name(0)?, name(1)?), name(2)?);
    }
    Ok(scoped)
}

fn forward_of(step: &Step) -> Vec<Sql> {
    let script = match step {
        // A build beside traffic needs a connection of its own, and nobody uses these tables yet.
        Step::AddTenantIndex(index) => index.at_once(),
        step => step.forward(),
    };
    script.prelude.into_iter().chain(script.statements).collect()
}

/// The whole script that undoes a version. What hangs on its tables goes with them; what outlives them is taken back by the
/// steps' own inverses, around `down.sql`.
fn undoing(steps: &[Step], down: &str) -> String {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for step in steps.iter().rev() {
        let into = match step {
            Step::OwnMaterialisedView(_) => &mut first,
            Step::CreateContext(_) | Step::CreateAppRole(_) => &mut last,
            Step::GrantApp(grant) if matches!(grant.object, GrantObject::Schema(_)) => &mut last,
            _ => continue,
        };
        into.extend(step.inverse().statements);
    }
    let script = |statements: Vec<Sql>| match statements.is_empty() {
        true => sql!(""),
        false => sql!("{};\n", join(statements, ";\n")),
    };
    sql!("{}{}\n{}", script(first), Sql::trusted(down.trim_end()), script(last)).to_string()
}
