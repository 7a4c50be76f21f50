//! What the journal itself needs: the role `bastide_owner` and schema `bastide`. Made with the run's first row in one
//! transaction, before the first step; taken back after the last step is undone.

use bastide_plan::Plan;
use bastide_sql::{Sql, join, sql};
use tokio_postgres::{Client, types::Json};
use uuid::Uuid;

use crate::{BackupChoice, EngineError, MigrationGuard, fault, journal, message, platform};

/// Schema `bastide` and its tables, each made where it is missing; [`ensure_owner`] comes first.
pub const OWN_SCHEMA: &str = include_str!("schema.sql");

/// Says of a role, cluster-wide, that Bastide made it: whichever database stops needing it last may drop it.
const OURS: &str = "made by Bastide: owns what it keeps in the databases it migrates";

/// Begins a run: afterwards schema `bastide` is there and every step of the plan is journalled as planned.
pub(crate) async fn begin(
    guard: &mut MigrationGuard,
    run: Uuid,
    plan: &Plan,
    backup: &BackupChoice,
) -> Result<(), EngineError> {
    let doing = "making schema bastide";
    fault::point("before_bootstrap", "run");
    role(guard).await?;
    guard.begin(run).await?;
    let transaction = guard.client_mut().transaction().await.map_err(EngineError::server(doing))?;
    // What an earlier, rolled back run left of the schema is kept: each object is made only where it is missing.
    transaction.batch_execute(OWN_SCHEMA).await.map_err(EngineError::server(doing))?;
    transaction
        .execute(
            "INSERT INTO bastide.run (id, format, bastide, state, phase, plan, backup_choice) VALUES ($1, $2, $3, 'running', 'preflight', $4, $5)",
            &[&run, &journal::JOURNAL_FORMAT, &env!("CARGO_PKG_VERSION"), &Json(plan), &Json(backup)],
        )
        .await
        .map_err(EngineError::server("writing the run"))?;
    journal::plan_steps(&transaction, run, &plan.steps).await?;
    transaction.commit().await.map_err(EngineError::server(doing))?;
    fault::point("after_bootstrap", "run");
    Ok(())
}

/// Role `bastide_owner`, for what is kept in a database outside of a run.
///
/// # Errors
/// When somebody else's schema has the name, or the role other attributes.
pub async fn ensure_owner(guard: &MigrationGuard) -> Result<(), EngineError> {
    schema_is_free(guard.client()).await?;
    role(guard).await
}

/// Ends what [`begin`] began: history stays, owned by the migrating login; the role goes where nothing else needs it.
/// Safe to repeat.
pub(crate) async fn undo(guard: &mut MigrationGuard) -> Result<Option<String>, EngineError> {
    let doing = "taking back schema bastide";
    if !role_exists(guard).await? {
        return Ok(None);
    }
    let mut message = vec![
        sql!("BEGIN"),
        sql!("TRUNCATE bastide.scope, {}", join(evidence(guard.client()).await?, ", ")),
        platform::forget_adopted(),
        sql!("REASSIGN OWNED BY bastide_owner TO CURRENT_USER"),
        sql!("DROP OWNED BY bastide_owner"),
        sql!("REVOKE ALL ON SCHEMA bastide FROM PUBLIC"),
        sql!("COMMIT"),
    ];
    message.splice(2..2, leftovers(guard).await?);
    guard.client().batch_execute(&message::text(&message)).await.map_err(EngineError::server(doing))?;
    drop_role(guard).await
}

/// Steps drop what they made; whatever else is in the schema besides its tables was left by a run that died between.
async fn leftovers(guard: &MigrationGuard) -> Result<Vec<Sql>, EngineError> {
    let rows = guard
        .client()
        .query(
            "SELECT format('DROP %s IF EXISTS %s CASCADE', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure) FROM pg_proc p WHERE p.pronamespace = 'bastide'::regnamespace UNION ALL SELECT format('DROP VIEW IF EXISTS %s CASCADE', c.oid::regclass) FROM pg_class c WHERE c.relnamespace = 'bastide'::regnamespace AND c.relkind = 'v' AND c.relname <> 'assignment'",
            &[],
        )
        .await
        .map_err(EngineError::server("looking for leftovers in schema bastide"))?;
    rows.iter()
        .map(|row| row.try_get::<_, String>(0).map(Sql::trusted))
        .collect::<Result<_, _>>()
        .map_err(EngineError::server("looking for leftovers in schema bastide"))
}

/// Why the role stays, when it does.
async fn drop_role(guard: &MigrationGuard) -> Result<Option<String>, EngineError> {
    let row = guard
        .client()
        .query_one(
            "SELECT shobj_description(r.oid, 'pg_authid') IS NOT DISTINCT FROM $1, (SELECT string_agg(DISTINCT coalesce(quote_ident(d.datname), 'the cluster'), ', ') FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid) FROM pg_roles r WHERE r.rolname = 'bastide_owner'",
            &[&OURS],
        )
        .await
        .map_err(EngineError::server("looking at role bastide_owner"))?;
    let read = |error| EngineError::server("looking at role bastide_owner")(error);
    let (ours, used): (bool, Option<String>) = (row.try_get(0).map_err(read)?, row.try_get(1).map_err(read)?);
    if let Some(places) = used {
        return Ok(Some(format!("role bastide_owner stays: {places} still uses it")));
    }
    if !ours {
        return Ok(Some("role bastide_owner stays: it was not made by Bastide".to_owned()));
    }
    guard
        .client()
        .batch_execute("DROP ROLE IF EXISTS bastide_owner")
        .await
        .map_err(EngineError::server("dropping role bastide_owner"))?;
    Ok(None)
}

/// The tables with what inference found and was told; which there are depends on the Bastide that began the run.
pub(crate) async fn evidence(client: &Client) -> Result<Vec<Sql>, EngineError> {
    let doing = "looking for evidence in schema bastide";
    let rows = client
        .query(
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'bastide'::regnamespace AND relkind = 'r' AND relname IN ('assigned', 'assigned_keyless', 'assigned_tenant', 'assignment', 'given', 'rule') ORDER BY 1",
            &[],
        )
        .await
        .map_err(EngineError::server(doing))?;
    rows.iter()
        .map(|row| row.try_get::<_, String>(0).map(Sql::trusted))
        .collect::<Result<_, _>>()
        .map_err(EngineError::server(doing))
}

/// Somebody else's schema of that name must stay theirs: rolling back clears ours.
pub(crate) async fn schema_is_free(client: &Client) -> Result<(), EngineError> {
    let reading = EngineError::server("looking for schema bastide");
    let taken: bool = client
        .query_one(
            "SELECT to_regclass('bastide.run') IS NULL AND EXISTS (SELECT FROM pg_namespace WHERE nspname = 'bastide' AND pg_get_userbyid(nspowner) <> 'bastide_owner')",
            &[],
        )
        .await
        .and_then(|row| row.try_get(0))
        .map_err(reading)?;
    if taken { Err(EngineError::SchemaTaken) } else { Ok(()) }
}

async fn role_exists(guard: &MigrationGuard) -> Result<bool, EngineError> {
    exists(guard, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bastide_owner')").await
}

async fn exists(guard: &MigrationGuard, query: &str) -> Result<bool, EngineError> {
    guard
        .client()
        .query_one(query, &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(EngineError::server("looking for schema bastide"))
}

/// Roles are the cluster's: another database's run may make the same one at this moment.
async fn role(guard: &MigrationGuard) -> Result<(), EngineError> {
    let comment = bastide_sql::Literal::text(OURS);
    let block = sql!(
        "DO $role$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bastide_owner') THEN
    CREATE ROLE bastide_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS;
    COMMENT ON ROLE bastide_owner IS {};
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $role$",
        comment
    );
    guard
        .client()
        .batch_execute(block.as_str())
        .await
        .map_err(EngineError::server("making role bastide_owner"))?;
    let fit = exists(
        guard,
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bastide_owner' AND NOT rolcanlogin AND NOT rolsuper AND rolbypassrls)",
    )
    .await?;
    if fit {
        return Ok(());
    }
    Err(EngineError::Preflight(
        "role bastide_owner exists with other attributes; run ALTER ROLE bastide_owner NOLOGIN NOSUPERUSER BYPASSRLS"
            .to_owned(),
    ))
}
