//! Discovery: everything that can be said of whose rows are, before anything is planned, and also where no plan can be made.
//!
//! One transaction with one snapshot, rolled back (other roots are tried after it, each in one of its own). Inference needs temporary tables; from the moment they are made the
//! transaction is READ ONLY, so nothing that a view, a function or a declared expression does can write. What takes too
//! long, may not be read or is locked is left out by name: nothing is ever counted in part.

mod barred;
mod candidates;
mod categories;
mod shape;
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bastide_catalog::Catalog;
use bastide_plan::{
    Config, Declarations, LinkSurvey, Refusal, RootChoice, RuleSurvey, Survey, TableCategory, TableSurvey,
    classify::Classification,
    inference::{self, Graph},
};
use bastide_record::{DISCOVERY_FORMAT, DiscoveredDatabase, Discovery, Integrity, Limits, NotLookedAt};
use bastide_sql::{Ident, QualifiedName, sql};
use tokio_postgres::Client;

use crate::{
    IntegrityLimits, SurveyError, integrity,
    reading::{Reading, Until},
    survey::{Progress, graph, measure_link, measure_rules, measure_table, prepare},
};
use shape::Shape;

/// What the operator asks about; as [`Config`], but a root is not needed.
#[derive(Clone, Debug)]
pub struct Asked {
    pub root: Option<RootChoice>,
    pub app_role: Ident,
    pub exclude_schemas: BTreeSet<Ident>,
    pub exclude_tables: BTreeSet<QualifiedName>,
    pub declared: Declarations,
    pub answers: BTreeMap<String, String>,
    pub limits: Limits,
}

/// So that one hopeless question about integrity does not take the time of all others.
const ONE_MEASUREMENT: Duration = Duration::from_secs(30);

impl Asked {
    fn config(&self, root: &RootChoice) -> Config {
        Config {
            root: root.clone(),
            app_role: self.app_role.clone(),
            exclude_schemas: self.exclude_schemas.clone(),
            exclude_tables: self.exclude_tables.clone(),
            accept_defaults: false,
            declared: self.declared.clone(),
            answers: self.answers.clone(),
        }
    }

    fn excludes(&self, table: &QualifiedName) -> bool {
        self.exclude_tables.contains(table) || self.exclude_schemas.contains(&table.schema)
    }
}

/// Reads, and changes nothing; takes no lock that a reader or a writer would wait for. Needs a login that may read, and
/// that row security does not filter: what it may not read whole, it does not read.
///
/// # Errors
/// When the settings name what is not there, or the connection fails. That a root cannot be one is no error but part of
/// what was found.
pub async fn discover(
    client: &mut Client,
    catalog: &Catalog,
    asked: &Asked,
    progress: Progress<'_>,
) -> Result<Discovery, SurveyError> {
    let began = Instant::now();
    nothing_to_exclude(catalog, asked)?;
    let categories = bastide_plan::categories(catalog, &asked.declared)?;
    let until = Until::new(Duration::from_secs(u64::from(asked.limits.time_limit_seconds)));
    let mut reading = Reading::begin(client, Some(until), "begin the discovery").await?;
    // A sample of keys is the same each time.
    reading.execute(&sql!("SET LOCAL synchronize_seqscans = off"), "begin the discovery").await?;
    categories::check(&mut reading, catalog, &categories).await?;
    let Look { mut found, other_roots } =
        look(&mut reading, catalog, asked, &categories, until, progress).await?;
    reading.rollback("end the discovery").await?;
    if other_roots {
        found.other_roots =
            Some(candidates::measure(client, catalog, asked, until.deadline(), progress).await);
    }
    found.seconds = began.elapsed().as_secs_f64();
    Ok(found)
}

/// What one look showed, and whether other roots are worth another.
struct Look {
    found: Discovery,
    other_roots: bool,
}

async fn look(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    asked: &Asked,
    categories: &[TableCategory],
    until: Until,
    progress: Progress<'_>,
) -> Result<Look, SurveyError> {
    progress("looking which tables may be read");
    let barred = barred::barred(reading, catalog, asked).await?;
    // What follows is worth something without tenants, too: they may not use up all the time.
    reading.until(Some(until.share(2, 3)));
    progress("classifying tables");
    let mut shape = shape::shape(reading, catalog, asked, &barred, progress).await?;
    let inferred = infer(reading, catalog, &mut shape, progress).await?;
    let mut other_roots = shape.root().is_none();
    reading.until(Some(until));
    reading.execute(&sql!("SET TRANSACTION READ ONLY"), "begin to count").await?;

    let graph = inferred.as_ref().map(|inferred| &inferred.graph);
    let surveyed = inferred.as_ref().map_or_else(BTreeMap::new, |inferred| inferred.tables.clone());
    let tables = tables::tables(reading, catalog, asked, &shape, &barred, &surveyed, progress).await?;
    let (links, links_not_counted) = match graph {
        Some(graph) => links(reading, graph, progress).await?,
        None => (Vec::new(), Vec::new()),
    };
    let of_root = |graph: &Graph| {
        let roots = graph.nodes.iter().filter(|node| node.root);
        roots.filter_map(|node| surveyed.get(&node.table)).map(|table| table.rows).sum()
    };
    let tenants: Option<u64> = graph.map(of_root);
    let mut questions = shape.questions();
    let mut notes = Vec::new();
    if let (Some(config), Some(inferred)) = (&shape.config, &inferred) {
        let survey = Survey {
            tenants: tenants.unwrap_or_default(),
            tables: inferred.tables.clone(),
            links: links.clone(),
            usage: shape.usage.clone(),
            rules: inferred.rules.clone(),
            ..Survey::default()
        };
        if links_not_counted.is_empty() && shape.left_out.is_empty() {
            match bastide_plan::plan(catalog, &survey, config) {
                Ok(plan) => (questions, notes) = (plan.open().cloned().collect(), plan.notes),
                Err(refusal) => {
                    other_roots = matches!(refusal, Refusal::NotABoundary { .. });
                    shape.obstacles.push(refusal.to_string());
                }
            }
        } else {
            other_roots = candidates::crosses(catalog, asked, &survey);
        }
    }
    // Nor may the rest, where other roots are to be measured.
    let until = if other_roots { until.share(5, 6) } else { until };
    reading.until(Some(until));
    let known = graph.filter(|graph| !graph.root.new);
    let counted = categories::count(reading, catalog, asked, known, &barred, categories, progress).await?;
    let integrity = wrong(reading, catalog, asked, known, until, progress).await?;
    let found = Discovery {
        format: DISCOVERY_FORMAT,
        bastide: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: time::OffsetDateTime::now_utc(),
        seconds: 0.0,
        database: DiscoveredDatabase {
            name: catalog.server.database.clone(),
            server_version: catalog.server.version,
            login: catalog.server.current_user.clone(),
        },
        limits: asked.limits,
        root: shape.root().cloned(),
        other_roots: None,
        tenants,
        obstacles: shape.obstacles,
        tenants_not_counted: shape.not_counted,
        tables,
        links,
        links_not_counted,
        questions,
        notes,
        categories: counted,
        integrity,
    };
    Ok(Look { found, other_roots })
}

/// What is wrong with the rows, with the time that is left.
async fn wrong(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    asked: &Asked,
    graph: Option<&Graph>,
    until: Until,
    progress: Progress<'_>,
) -> Result<Integrity, SurveyError> {
    let limits = IntegrityLimits {
        statement: ONE_MEASUREMENT,
        deadline: until.deadline(),
        sample_above_rows: asked.limits.sample_above,
    };
    // Only exclusions and declared references count here, whatever the root.
    let config = asked.config(&asked.root.clone().unwrap_or_else(any_root));
    integrity(reading.transaction(), catalog, &config, graph, &limits, progress).await
}

/// Stands in where none was named.
fn any_root() -> RootChoice {
    RootChoice::New(QualifiedName::new(Ident::constant("public"), Ident::constant("tenants")))
}

/// A name left out by mistake would be read, and so taken for approved.
fn nothing_to_exclude(catalog: &Catalog, asked: &Asked) -> Result<(), Refusal> {
    for table in &asked.exclude_tables {
        if catalog.table(table).is_none() && !catalog.views.contains_key(table) {
            return Err(bastide_plan::no_table_to_exclude(catalog, table));
        }
    }
    for schema in &asked.exclude_schemas {
        if !catalog.schemas.contains_key(schema) {
            return Err(bastide_plan::no_schema_to_exclude(catalog, schema));
        }
    }
    Ok(())
}

/// Whose each row is, counted; the work tables behind it stay until the end.
struct Inferred {
    graph: Graph,
    tables: BTreeMap<QualifiedName, TableSurvey>,
    rules: Vec<RuleSurvey>,
}

/// All tables or none: what one of them does not say would be missing in the others.
async fn infer(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    shape: &mut Shape,
    progress: Progress<'_>,
) -> Result<Option<Inferred>, SurveyError> {
    let (Some(config), Some(classification), None) =
        (&shape.config, &shape.classification, &shape.not_counted)
    else {
        return Ok(None);
    };
    let mut part = reading.savepoint("infer tenants").await?;
    match infer_all(&mut part, catalog, config, classification, progress).await {
        Ok(inferred) => {
            part.keep("infer tenants").await?;
            Ok(Some(inferred))
        }
        Err(error) => {
            shape.not_counted = Some(error.without_rows()?);
            part.rollback("infer tenants").await?;
            Ok(None)
        }
    }
}

async fn infer_all(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    config: &Config,
    classification: &Classification,
    progress: Progress<'_>,
) -> Result<Inferred, SurveyError> {
    let graph = graph(catalog, config, classification);
    let mut script = inference::survey_script(&graph);
    let mut rules = Vec::new();
    if graph.root.new {
        // Everything there is belongs to the one tenant.
        script.tables.iter_mut().for_each(|table| table.evidence = None);
    } else {
        rules = measure_rules(reading, &graph, config, progress).await?;
        prepare(reading, &script, progress).await?;
    }
    let mut tables = BTreeMap::new();
    for table in &script.tables {
        progress(&format!("counting {}", table.table));
        tables.insert(table.table.clone(), measure_table(reading, table).await?);
    }
    Ok(Inferred { graph, tables, rules })
}

async fn links(
    reading: &mut Reading<'_>,
    graph: &Graph,
    progress: Progress<'_>,
) -> Result<(Vec<LinkSurvey>, Vec<NotLookedAt>), SurveyError> {
    let (mut counted, mut missed) = (Vec::new(), Vec::new());
    if graph.root.new {
        return Ok((counted, missed));
    }
    for link in inference::survey_script(graph).links {
        let object = format!("{} of {}", link.link.foreign_key, link.link.table);
        progress(&format!("following {object}"));
        let part = reading.savepoint("follow a reference").await?;
        match measure_link(&part, &link).await {
            Ok(found) => counted.push(found),
            Err(error) => missed.push(NotLookedAt { object, why: error.without_rows()? }),
        }
        part.rollback("follow a reference").await?;
    }
    Ok((counted, missed))
}
