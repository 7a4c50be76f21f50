//! The survey: classify, measure what classification asks for, again until it asks for nothing; then count.

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_plan::{
    Config, Evidence, LinkSurvey, RuleSurvey, Survey, TableSurvey, Usage,
    classify::{Classification, classify},
    inference::{self, Graph, LinkMeasure, SurveyScript, TableMeasure},
    kinds, sorted,
};
use bastide_sql::{QualifiedName, Sql};
use tokio_postgres::Client;

use crate::{
    SurveyError, around, code, event_triggers, integrity, proposals, quarantine, reading::Reading,
    replication, rules,
};

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
    event_triggers::must_let_pass(client, catalog).await?;
    let mut reading = Reading::begin(client, None, "begin the survey").await?;
    let survey = read(&mut reading, catalog, config, progress).await?;
    reading.rollback("end the survey").await?;
    Ok(survey)
}

/// Classifies, measures what that asks for, and again, until it asks for nothing. `usage` grows by what was measured.
pub(crate) async fn classified(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    config: &Config,
    usage: &mut BTreeMap<QualifiedName, Usage>,
    progress: Progress<'_>,
) -> Result<Classification, SurveyError> {
    let mut classification = classify(catalog, config, usage)?;
    let root_type = classification.root.key_type.clone();
    let transaction = reading.paced("bring in the keys of rules").await?;
    rules::bring_keys(transaction, catalog, &root_type, &config.declared).await?;
    // Before anything evaluates one.
    rules::refuse_volatile(transaction, &graph(catalog, config, &classification), &config.declared).await?;
    while !classification.wanted.is_empty() {
        measure_usage(reading, catalog, config, &classification, usage, progress).await?;
        classification = classify(catalog, config, usage)?;
    }
    Ok(classification)
}

pub(crate) async fn read(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    config: &Config,
    progress: Progress<'_>,
) -> Result<Survey, SurveyError> {
    let mut usage = BTreeMap::new();
    let classification = classified(reading, catalog, config, &mut usage, progress).await?;
    let root = &classification.root;
    let kinds = kinds(catalog, config, &classification)?;
    for kind in &kinds {
        quarantine::must_take(reading.transaction(), kind).await?;
    }
    let graph = sorted(graph(catalog, config, &classification), &kinds);
    let script = inference::survey_script(&graph);
    let mut survey = Survey { usage, ..Survey::default() };
    code::read(reading.transaction(), &mut survey).await?;
    replication::read(reading, catalog, &classification, &mut survey).await?;
    survey.around = around::read(reading.transaction(), &config.app_role).await?;
    if root.new {
        // Everything there is belongs to the one tenant: nothing to infer, nothing can cross.
        for table in &script.tables {
            let (rows, _) = counts(reading, &table.counts, &format!("count {}", table.table)).await?;
            survey.tables.insert(table.table.clone(), TableSurvey { rows, ..TableSurvey::default() });
        }
        return Ok(survey);
    }
    survey.rules = measure_rules(reading, &graph, config, progress).await?;
    prepare(reading, &script, progress).await?;
    for table in &script.tables {
        progress(&format!("counting {}", table.table));
        let counted = measure_table(reading, table).await?;
        if graph.nodes.iter().any(|node| node.root && node.table == table.table) {
            survey.tenants += counted.rows;
        }
        survey.tables.insert(table.table.clone(), counted);
    }
    for link in &script.links {
        progress(&format!("following {} of {}", link.link.foreign_key, link.link.table));
        survey.links.push(measure_link(reading, link).await?);
    }
    proposals::find(reading.transaction(), catalog, config, &classification, &graph, &mut survey, progress)
        .await?;
    integrity::repeated_slugs(reading.transaction(), catalog, &classification.root.table, &mut survey)
        .await?;
    survey.quarantine_refused = quarantine::refused(reading.transaction(), catalog, &classification).await?;
    Ok(survey)
}

/// The scoped tables, and the references between them.
pub(crate) fn graph(catalog: &Catalog, config: &Config, classification: &Classification) -> Graph {
    Graph::build(catalog, &classification.root, &classification.scoped())
        .surveyed()
        .declare(catalog, &config.declared)
}

pub(crate) async fn measure_rules(
    reading: &mut Reading<'_>,
    graph: &Graph,
    config: &Config,
    progress: Progress<'_>,
) -> Result<Vec<RuleSurvey>, SurveyError> {
    let transaction = reading.paced("try the rules").await?;
    rules::measure(transaction, graph, &config.declared, progress).await
}

/// Measures what is wanted, inside a savepoint: the work tables of this round must not meet those of the next.
async fn measure_usage(
    reading: &mut Reading<'_>,
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
    let graph = graph(catalog, config, classification);
    let round = reading.savepoint(what).await?;
    prepare(&round, &inference::survey_script(&graph), progress).await?;
    for measure in inference::usage_script(&graph, catalog, &classification.wanted) {
        let what = format!("measure how {} is used", measure.table);
        progress(&what);
        let row = round.query_one(&measure.counts, &what).await?;
        let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
        let measured = || Ok(Usage { rows: number(0)?, by_one: number(1)?, by_many: number(2)? });
        usage.insert(measure.table, measured().map_err(SurveyError::during(&what))?);
    }
    round.rollback(what).await
}

pub(crate) async fn prepare(
    reading: &Reading<'_>,
    script: &SurveyScript,
    progress: Progress<'_>,
) -> Result<(), SurveyError> {
    progress("following references to infer tenants");
    for statement in &script.prepare {
        reading.execute(statement, "infer tenants").await?;
    }
    Ok(())
}

pub(crate) async fn measure_table(
    reading: &Reading<'_>,
    table: &TableMeasure,
) -> Result<TableSurvey, SurveyError> {
    let what = format!("count {}", table.table);
    let (rows, had_tenant) = counts(reading, &table.counts, &what).await?;
    let mut counted = TableSurvey { rows, had_tenant, ..TableSurvey::default() };
    let Some(evidence) = &table.evidence else { return Ok(counted) };
    let found = reading.query(evidence, &what).await?;
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

pub(crate) async fn measure_link(
    reading: &Reading<'_>,
    link: &LinkMeasure,
) -> Result<LinkSurvey, SurveyError> {
    let what = format!("follow {} of {}", link.link.foreign_key, link.link.table);
    let (rows, crossing) = counts(reading, &link.counts, &what).await?;
    let mut samples = Vec::new();
    if crossing > 0 {
        for row in reading.query(&link.samples, &what).await? {
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
pub(crate) async fn counts(
    reading: &Reading<'_>,
    query: &Sql,
    what: &str,
) -> Result<(u64, u64), SurveyError> {
    let row = reading.query_one(query, what).await?;
    let number = |at| row.try_get::<_, i64>(at).map(i64::unsigned_abs);
    let both = || Ok((number(0)?, number(1)?));
    both().map_err(SurveyError::during(what))
}
