//! Reads a [`Posture`] from a live database, as its owner. All of it in one transaction that is rolled back.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName, Sql, sql};
use tokio_postgres::{Client, Row, Transaction};

use super::{Accepted, Posture, Scoped, context, paths, predicates, rights, surroundings};
use crate::VerifyError;

/// One posture read must not hold its snapshot for ever on a database in trouble.
const LIMITS: &str = "SET LOCAL search_path = pg_catalog; SET LOCAL row_security = off;
    SET LOCAL statement_timeout = '120s'; SET LOCAL lock_timeout = '2s'";

impl Posture {
    /// # Errors
    /// When the database has no schema `bastide`, the role does not exist, `owner` is itself filtered by row security,
    /// or a read fails.
    pub(crate) async fn read(owner: &mut Client, app: &Ident) -> Result<Self, VerifyError> {
        sees_every_row(owner).await?;
        let mut catalog = bastide_catalog::read(owner).await?;
        if !catalog.roles.contains_key(app) {
            return Err(VerifyError::NoRole(app.clone()));
        }
        let roles = catalog.membership_closure(app);
        let names: Vec<String> = roles.iter().map(|role| role.as_str().to_owned()).collect();
        let transaction = owner.transaction().await.map_err(VerifyError::reading("the posture"))?;
        transaction.batch_execute(LIMITS).await.map_err(VerifyError::reading("the posture"))?;
        let functions = context::functions(&transaction, &names).await?;
        let has_context =
            functions.iter().any(|f| f.name.as_str() == "current_tenant" && f.arguments.is_empty());
        let scoped = scoped(&transaction, &catalog, has_context).await?;
        let NewestRun { pending_cutover, classes, accepted } = newest_run(&transaction).await?;
        let kept_tables = rights::kept_tables(&transaction).await?;
        let (reach, kept) = rights::reach(&transaction, &names, catalog.server.version).await?;
        let callable = rights::callable(&transaction, &names).await?;
        let mut context_readers = context_readers(&transaction).await?;
        add_callers(&catalog, &mut context_readers);
        let rule_touches = rule_touches(&transaction).await?;
        let presets = rights::presets(&transaction, &names).await?;
        let creations = rights::creations(&transaction, &names).await?;
        let owned = rights::owned(&transaction, &names).await?;
        let may_disable_triggers = rights::may_disable_triggers(&transaction, &names).await?;
        let calls = paths::calls(&transaction).await?;
        let around = surroundings::read(&transaction, &names).await?;
        let expected_setter_bodies =
            predicates::expected_setter_bodies(&transaction, &scoped, catalog.server.sealed_context).await?;
        let expected_context_body =
            predicates::expected_context_body(&transaction, catalog.server.sealed_context).await?;
        reprint_policies(&transaction, &mut catalog).await?;
        transaction.rollback().await.map_err(VerifyError::reading("the posture"))?;
        Ok(Self {
            app: app.clone(),
            roles,
            pending_cutover,
            scoped,
            classes,
            accepted,
            reach,
            kept,
            kept_tables,
            callable,
            context_readers,
            functions,
            expected_context_body,
            expected_setter_bodies,
            rule_touches,
            presets,
            creations,
            owned,
            may_disable_triggers,
            calls,
            around,
            catalog,
        })
    }
}

/// A filtered count would pass for a full one; and without our schema there is nothing to verify.
async fn sees_every_row(owner: &Client) -> Result<(), VerifyError> {
    let row = owner
        .query_one(
            "SELECT current_user::text, r.rolsuper OR r.rolbypassrls, to_regclass('bastide.scoped_tables') IS NOT NULL
             FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await
        .map_err(VerifyError::reading("the owner's own rights"))?;
    if !row.get::<_, bool>(2) {
        return Err(VerifyError::NotMigrated);
    }
    if !row.get::<_, bool>(1) {
        return Err(VerifyError::OwnerFiltered(row.get(0)));
    }
    Ok(())
}

async fn scoped(
    transaction: &Transaction<'_>,
    catalog: &Catalog,
    has_context: bool,
) -> Result<BTreeMap<QualifiedName, Scoped>, VerifyError> {
    let rows = transaction
        .query(r#"SELECT DISTINCT schema, "table", tenant_column FROM bastide.scoped_tables"#, &[])
        .await
        .map_err(VerifyError::reading("bastide.scoped_tables"))?;
    let mut scoped = BTreeMap::new();
    for row in &rows {
        let name =
            QualifiedName::new(Ident::new(row.get::<_, String>(0))?, Ident::new(row.get::<_, String>(1))?);
        let tenant_column = Ident::new(row.get::<_, String>(2))?;
        scoped.insert(name, Scoped::unread(tenant_column, true));
    }
    add_children(catalog, &mut scoped);
    for (serial, (name, entry)) in scoped.iter_mut().enumerate() {
        let Some(column) = catalog.table(name).and_then(|table| table.column(&entry.tenant_column)) else {
            continue;
        };
        if has_context {
            let right = predicates::expected(transaction, name, &entry.tenant_column, serial).await?;
            if let Some(right) = right {
                (entry.kind, entry.expected) = (right.kind, right.predicates);
            }
        }
        if !column.not_null || !validated(transaction, name, &entry.tenant_column).await? {
            entry.null_rows = null_rows(transaction, name, &entry.tenant_column).await?;
        }
    }
    Ok(scoped)
}

/// What inherits from a scoped table holds its rows, whoever declared it or not.
fn add_children(catalog: &Catalog, scoped: &mut BTreeMap<QualifiedName, Scoped>) {
    let mut open: Vec<QualifiedName> = scoped.keys().cloned().collect();
    while let Some(parent) = open.pop() {
        let Some(column) = scoped.get(&parent).map(|entry| entry.tenant_column.clone()) else { continue };
        for child in catalog.table(&parent).into_iter().flat_map(|table| &table.children) {
            if !scoped.contains_key(child) {
                scoped.insert(child.clone(), Scoped::unread(column.clone(), false));
                open.push(child.clone());
            }
        }
    }
}

/// Since 18 a column may be NOT NULL for new rows only.
async fn validated(
    transaction: &Transaction<'_>,
    table: &QualifiedName,
    column: &Ident,
) -> Result<bool, VerifyError> {
    let row = transaction
        .query_one(
            "SELECT NOT EXISTS (
                 SELECT FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
                 JOIN pg_namespace n ON n.oid = c.relnamespace
                 JOIN pg_attribute a ON a.attrelid = c.oid AND k.conkey = ARRAY[a.attnum]
                 WHERE k.contype = 'n' AND NOT k.convalidated AND n.nspname = $1 AND c.relname = $2 AND a.attname = $3)",
            &[&table.schema.as_str(), &table.name.as_str(), &column.as_str()],
        )
        .await
        .map_err(VerifyError::reading("whether tenants are NOT NULL"))?;
    Ok(row.get(0))
}

async fn null_rows(
    transaction: &Transaction<'_>,
    table: &QualifiedName,
    column: &Ident,
) -> Result<u64, VerifyError> {
    let count =
        sql!("SELECT count(*) FROM (SELECT FROM {} WHERE {} IS NULL LIMIT 1000) AS found", table, column);
    let row = transaction
        .query_one(count.as_str(), &[])
        .await
        .map_err(VerifyError::reading("rows without a tenant"))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// What the newest run that was not undone says. Once its journal is discarded its row is still there, and nothing is pending.
#[derive(Default)]
struct NewestRun {
    pending_cutover: bool,
    classes: Option<BTreeMap<QualifiedName, String>>,
    accepted: Option<Accepted>,
}

async fn newest_run(transaction: &Transaction<'_>) -> Result<NewestRun, VerifyError> {
    let reading = || VerifyError::reading("bastide.run");
    let run = transaction
        .query_opt(
            "SELECT id::text, state, phase FROM bastide.run WHERE state <> 'rolled_back' ORDER BY started_at DESC LIMIT 1",
            &[],
        )
        .await
        .map_err(reading())?;
    let Some(run) = run else { return Ok(NewestRun::default()) };
    let id: String = run.get(0);
    // While cutover itself runs, nothing is left for it to settle: what it proves is that nothing is pending.
    let pending_cutover =
        !matches!(run.get(1), "cut_over" | "finished") && run.get::<_, &str>(2) != "cutover";
    let rows = transaction
        .query(
            "SELECT decided.key, decided.value ->> 'class'
             FROM bastide.run, jsonb_each(CASE jsonb_typeof(plan -> 'tables') WHEN 'object' THEN plan -> 'tables'
                                          ELSE '{}' END) AS decided
             WHERE id::text = $1",
            &[&id],
        )
        .await
        .map_err(reading())?;
    let classes: BTreeMap<QualifiedName, String> = rows
        .iter()
        .filter_map(|row| Some((row.get::<_, &str>(0).parse().ok()?, row.get::<_, Option<String>>(1)?)))
        .collect();
    let answers = transaction
        .query(
            "SELECT answered.key, answered.value
             FROM bastide.run, jsonb_each_text(CASE jsonb_typeof(plan #> '{config,answers}')
                                               WHEN 'object' THEN plan #> '{config,answers}' ELSE '{}' END) AS answered
             WHERE id::text = $1",
            &[&id],
        )
        .await
        .map_err(reading())?;
    let answers = answers.iter().map(|row| (row.get::<_, String>(0), row.get::<_, String>(1)));
    let questions: BTreeMap<String, String> =
        answers.filter(|(question, answer)| Accepted::accepts(question, answer)).collect();
    Ok(NewestRun {
        pending_cutover,
        classes: (!classes.is_empty()).then_some(classes),
        accepted: (!questions.is_empty()).then_some(Accepted { run: id, questions }),
    })
}

/// Functions whose body names the context. Bodies are text to the server too (except parsed ones, which it prints), so a
/// search is all there is; it may name one too many, never a parsed reference too few.
async fn context_readers(
    transaction: &Transaction<'_>,
) -> Result<BTreeSet<(QualifiedName, Sql)>, VerifyError> {
    let rows = transaction
        .query(
            "SELECT n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid)
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             CROSS JOIN LATERAL lower(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)) AS body
             WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bastide') AND p.prokind <> 'a'
               AND (position('current_tenant' IN body) > 0 OR position('bastide.tenant' IN body) > 0)",
            &[],
        )
        .await
        .map_err(VerifyError::reading("the bodies of functions"))?;
    rows.iter().map(function_name).collect()
}

/// A function that calls one that reads the context reads it, too.
fn add_callers(catalog: &Catalog, readers: &mut BTreeSet<(QualifiedName, Sql)>) {
    loop {
        let names: BTreeSet<String> =
            readers.iter().map(|(name, _)| name.name.as_str().to_lowercase()).collect();
        let before = readers.len();
        for function in catalog.functions.iter().filter(|function| function.extension.is_none()) {
            let source = function.source.to_lowercase();
            if names.iter().any(|name| source.contains(&format!("{name}("))) {
                readers.insert((function.name.clone(), function.arguments.clone()));
            }
        }
        if readers.len() == before {
            return;
        }
    }
}

/// What the rules of tables and views name, from their dependencies: a rule's text is never read.
async fn rule_touches(
    transaction: &Transaction<'_>,
) -> Result<BTreeMap<(QualifiedName, Ident), Vec<QualifiedName>>, VerifyError> {
    let rows = transaction
        .query(
            "SELECT DISTINCT n.nspname::text, c.relname::text, r.rulename::text, tn.nspname::text, t.relname::text
             FROM pg_rewrite r
             JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('r', 'p', 'v') AND r.rulename <> '_RETURN'
             JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                             AND d.refclassid = 'pg_class'::regclass
             JOIN pg_class t ON t.oid = d.refobjid AND t.relkind <> 'S'
             JOIN pg_namespace tn ON tn.oid = t.relnamespace",
            &[],
        )
        .await
        .map_err(VerifyError::reading("the rewrite rules"))?;
    let mut touches = BTreeMap::<_, Vec<_>>::new();
    for row in &rows {
        let name = |at: usize| Ident::new(row.get::<_, String>(at));
        let rule = (QualifiedName::new(name(0)?, name(1)?), name(2)?);
        touches.entry(rule).or_default().push(QualifiedName::new(name(3)?, name(4)?));
    }
    Ok(touches)
}

pub(super) fn function_name(row: &Row) -> Result<(QualifiedName, Sql), VerifyError> {
    let name = QualifiedName::new(Ident::new(row.get::<_, String>(0))?, Ident::new(row.get::<_, String>(1))?);
    Ok((name, Sql::trusted(row.get::<_, String>(2))))
}

/// Replaces the snapshot's policy texts by what this transaction prints, so that they compare with the expected ones.
async fn reprint_policies(transaction: &Transaction<'_>, catalog: &mut Catalog) -> Result<(), VerifyError> {
    let printed = predicates::actual(transaction).await?;
    for table in catalog.tables.values_mut() {
        for policy in &mut table.policies {
            if let Some((using, check)) = printed.get(&(table.name.clone(), policy.name.clone())) {
                policy.using = using.clone().map(Sql::trusted);
                policy.with_check = check.clone().map(Sql::trusted);
            }
        }
    }
    Ok(())
}
