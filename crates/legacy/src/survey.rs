//! The survey: classify, measure what classification asks for, again until it asks for nothing; then count.

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_plan::{
    Config, Evidence, LinkSurvey, Survey, TableSurvey, Usage,
    classify::{Classification, classify},
    inference::{self, Graph, LinkMeasure, SurveyScript, TableMeasure},
};
use bastide_sql::{QualifiedName, Sql, sql};
use tokio_postgres::{Client, Transaction};

use crate::{SurveyError, error::LOCK_TIMEOUT_SECONDS, proposals, quarantine, rules};

/// Called with one line about what is being looked at.
pub(crate) type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Reads, and changes nothing. Takes no lock that a reader or a writer would wait for; its snapshot holds back vacuum
/// while it runs. Needs a login that row security does not filter: with one it fails rather than count less.
///
/// # Errors
/// When the root cannot be one, when a table cannot be read, or when a lock is in the way for five seconds.
pub async fn survey(
    client: &mut Client,
    catalog: &Catalog,
    config: &Config,
    progress: Progress<'_>,
) -> Result<Survey, SurveyError> {
    let mut transaction = client.transaction().await.map_err(SurveyError::during("begin the survey"))?;
    for statement in inference::prelude() {
        execute(&transaction, &statement, "begin the survey").await?;
    }
    let patience = sql!("SET LOCAL lock_timeout = '{}s'", LOCK_TIMEOUT_SECONDS);
    execute(&transaction, &patience, "begin the survey").await?;
    let survey = read(&mut transaction, catalog, config, progress).await?;
    transaction.rollback().await.map_err(SurveyError::during("end the survey"))?;
    Ok(survey)
}

async fn read(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    config: &Config,
    progress: Progress<'_>,
) -> Result<Survey, SurveyError> {
    let mut usage = BTreeMap::new();
    let mut classification = classify(catalog, config, &usage)?;
    let root_type = &classification.root.key_type;
    rules::bring_keys(transaction, catalog, root_type, &config.declared).await?;
    while !classification.wanted.is_empty() {
        measure_usage(transaction, catalog, config, &classification, &mut usage, progress).await?;
        classification = classify(catalog, config, &usage)?;
    }
    let root = &classification.root;
    let graph =
        Graph::build(catalog, root, &classification.scoped()).surveyed().declare(catalog, &config.declared);
    let script = inference::survey_script(&graph);
    let mut survey = Survey { usage, ..Survey::default() };
    if root.new {
        // Everything there is belongs to the one tenant: nothing to infer, nothing can cross.
        for table in &script.tables {
            let (rows, _) = counts(transaction, &table.counts, &format!("count {}", table.table)).await?;
            survey.tables.insert(table.table.clone(), TableSurvey { rows, ..TableSurvey::default() });
        }
        return Ok(survey);
    }
    survey.rules = rules::measure(transaction, &graph, &config.declared, progress).await?;
    prepare(transaction, &script, progress).await?;
    for table in &script.tables {
        progress(&format!("counting {}", table.table));
        let counted = measure_table(transaction, table).await?;
        if graph.nodes.iter().any(|node| node.root && node.table == table.table) {
            survey.tenants += counted.rows;
        }
        survey.tables.insert(table.table.clone(), counted);
    }
    for link in &script.links {
        progress(&format!("following {} of {}", link.link.foreign_key, link.link.table));
        survey.links.push(measure_link(transaction, link).await?);
    }
    proposals::find(transaction, catalog, config, &classification, &graph, &mut survey, progress).await?;
    survey.quarantine_refused = quarantine::refused(transaction, catalog, &classification).await?;
    Ok(survey)
}

/// Measures what is wanted, inside a savepoint: the work tables of this round must not meet those of the next.
async fn measure_usage(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    config: &Config,
    classification: &Classification,
    usage: &mut BTreeMap<QualifiedName, Usage>,
    progress: Progress<'_>,
) -> Result<(), SurveyError> {
    if classification.wanted.iter().all(|table| usage.contains_key(table)) {
        let tables = classification.wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(SurveyError::Circular { tables });
    }
    let what = "measure how shared tables are used";
    let graph = Graph::build(catalog, &classification.root, &classification.scoped())
        .surveyed()
        .declare(catalog, &config.declared);
    let round = transaction.savepoint("bastide_usage").await.map_err(SurveyError::during(what))?;
    prepare(&round, &inference::survey_script(&graph), progress).await?;
    for measure in inference::usage_script(&graph, catalog, &classification.wanted) {
        let what = format!("measure how {} is used", measure.table);
        progress(&what);
        let row = round.query_one(measure.counts.as_str(), &[]).await.map_err(SurveyError::during(&what))?;
        let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
        let measured = || Ok(Usage { rows: number(0)?, by_one: number(1)?, by_many: number(2)? });
        usage.insert(measure.table, measured().map_err(SurveyError::during(&what))?);
    }
    round.rollback().await.map_err(SurveyError::during(what))
}

async fn prepare(
    transaction: &Transaction<'_>,
    script: &SurveyScript,
    progress: Progress<'_>,
) -> Result<(), SurveyError> {
    progress("following references to infer tenants");
    for statement in &script.prepare {
        execute(transaction, statement, "infer tenants").await?;
    }
    Ok(())
}

async fn measure_table(
    transaction: &Transaction<'_>,
    table: &TableMeasure,
) -> Result<TableSurvey, SurveyError> {
    let what = format!("count {}", table.table);
    let (rows, had_tenant) = counts(transaction, &table.counts, &what).await?;
    let mut counted = TableSurvey { rows, had_tenant, ..TableSurvey::default() };
    let Some(evidence) = &table.evidence else { return Ok(counted) };
    let found = transaction.query(evidence.as_str(), &[]).await.map_err(SurveyError::during(&what))?;
    for row in found {
        let read =
            || Ok((row.try_get::<_, String>(0)?, row.try_get(1)?, row.try_get::<_, i64>(2)?.unsigned_abs()));
        let (kind, path, rows) = read().map_err(SurveyError::during(&what))?;
        match kind.as_str() {
            "conflict" => counted.conflicting += rows,
            "unreachable" => counted.unreachable += rows,
            _ => counted.inferred.push(Evidence { path, rows }),
        }
    }
    Ok(counted)
}

async fn measure_link(transaction: &Transaction<'_>, link: &LinkMeasure) -> Result<LinkSurvey, SurveyError> {
    let what = format!("follow {} of {}", link.link.foreign_key, link.link.table);
    let (rows, crossing) = counts(transaction, &link.counts, &what).await?;
    let mut samples = Vec::new();
    if crossing > 0 {
        let found =
            transaction.query(link.samples.as_str(), &[]).await.map_err(SurveyError::during(&what))?;
        for row in found {
            samples.push(row.try_get(0).map_err(SurveyError::during(&what))?);
        }
    }
    Ok(LinkSurvey {
        table: link.link.table.clone(),
        foreign_key: link.link.foreign_key.clone(),
        references: link.link.references.clone(),
        rows,
        crossing,
        samples,
    })
}

/// The two bigints of a one-row query.
async fn counts(transaction: &Transaction<'_>, query: &Sql, what: &str) -> Result<(u64, u64), SurveyError> {
    let row = transaction.query_one(query.as_str(), &[]).await.map_err(SurveyError::during(what))?;
    let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
    let both = || Ok((number(0)?, number(1)?));
    both().map_err(SurveyError::during(what))
}

async fn execute(transaction: &Transaction<'_>, statement: &Sql, what: &str) -> Result<(), SurveyError> {
    transaction.batch_execute(statement.as_str()).await.map_err(SurveyError::during(what))
}
