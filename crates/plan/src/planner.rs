//! From catalog, survey and configuration to the plan.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Fingerprint};
use bastide_sql::QualifiedName;

use crate::{
    Class, ColumnOrigin, Config, Database, PLAN_FORMAT, Plan, Proposal, Question, Refusal, Survey,
    TableDecision, TenantColumn, TenantRoot, boundary,
    classify::{Classification, answer, classify},
    code, declared,
    kinds::kinds,
    links, notes, obstacles,
    phases::{Planning, needs_inference, plan_all},
    quarantine,
    refusal::thousands,
    replication, standing,
};

/// What becomes of a group of unreachable rows.
const CREATE: &str = "create";
const QUARANTINE: &str = "quarantine";
/// Slugs that several tenants have stay.
const KEEP: &str = "keep";

/// # Errors
/// When the database cannot be planned for; each refusal says why and what to type next.
pub fn plan(catalog: &Catalog, survey: &Survey, config: &Config) -> Result<Plan, Refusal> {
    let classification = classify(catalog, config, &survey.usage)?;
    let root = &classification.root;
    if !root.new
        && !classification.tables.iter().any(|(name, c)| c.class == Class::Scoped && *name != root.table)
    {
        return Err(Refusal::NothingScoped { root: root.table.clone() });
    }
    let of_rules = declared::measured(config, survey)?;
    let links = links::links(catalog, survey, config, &classification)?;
    let boundary = obstacles::boundary(catalog, survey, &root.table, &links.settled);
    let accepted = boundary::accepted(config, boundary)?;
    obstacles::find(catalog, config, &classification)?;

    let mut questions = classification.questions.clone();
    let hold_crossing = !links.questions.is_empty();
    questions.extend(links.questions);
    let code = code::of(config, survey, &classification)?;
    questions.extend(code.questions);
    let replicated = replication::of(catalog, survey, config, &classification)?;
    questions.extend(replicated.questions);
    questions.extend(standing::of(catalog, survey, config, &classification)?);
    let mut notes = notes::of(catalog, config, &classification);
    notes.extend(replicated.notes);
    notes.extend(code.notes);
    notes.extend(links.notes);

    let mut planning = Planning {
        config,
        survey,
        classification: &classification,
        quarantine: None,
        proposed: Vec::new(),
        kinds: Vec::new(),
        hold_crossing,
        settled: links.settled,
        catalog: catalog.clone(),
        steps: Vec::new(),
        notes,
        questions,
    };
    if survey.tenants == 0 && !root.new && survey.tables.values().any(|table| table.rows > 0) {
        planning.notes.push(format!(
            "{} has no row, so there is no tenant yet and nothing says whose the rows of other tables are",
            root.table
        ));
    }
    planning.notes.extend(of_rules);
    if let Some(accepted) = accepted {
        planning.questions.push(accepted.question);
        planning.notes.push(accepted.note);
    }
    find_quarantine(&mut planning);
    ask_about_slugs(&mut planning)?;
    sort_kinds(&mut planning)?;
    propose_tenants(&mut planning)?;
    plan_all(&mut planning)?;
    answers_to_nothing(&mut planning);

    Ok(Plan {
        format: PLAN_FORMAT,
        bastide: env!("CARGO_PKG_VERSION").to_owned(),
        database: Database {
            name: catalog.server.database.clone(),
            system_identifier: catalog.server.system_identifier.clone(),
            oid: catalog.server.database_oid,
            server_version: catalog.server.version,
        },
        fingerprint: Fingerprint::of(catalog),
        config: config.clone(),
        root: root.clone(),
        quarantine: planning.quarantine.as_ref().map(quarantine::tenant),
        tables: decisions(&classification, survey),
        links: survey.links.clone(),
        questions: planning.questions,
        notes: planning.notes,
        steps: planning.steps,
    })
}

/// The quarantine tenant, where rows may need it and the root can take it.
fn find_quarantine(planning: &mut Planning<'_>) {
    if !needs_inference(planning) {
        return;
    }
    let found = match &planning.survey.quarantine_refused {
        Some(reason) => Err(reason.clone()),
        None => {
            let classes = &planning.classification;
            quarantine::quarantine(&planning.catalog, &classes.root, |table| classes.class(table))
        }
    };
    match found {
        Ok(step) => planning.quarantine = Some(step),
        Err(reason) => planning.notes.push(format!(
            "{} cannot take a quarantine tenant ({reason}); rows without a tenant are held aside at cutover",
            planning.classification.root.table
        )),
    }
}

/// A mistyped id would otherwise pass for an answer.
fn answers_to_nothing(planning: &mut Planning<'_>) {
    let asked = |id: &String| planning.questions.iter().any(|question| question.id == *id);
    let unasked = planning.config.answers.keys().filter(|id| !asked(id));
    let notes: Vec<String> =
        unasked.map(|id| format!("{id} is answered, but it is no question of this plan")).collect();
    planning.notes.extend(notes);
}

/// Two tenants by one slug: whoever asks for the one may get the other. Nothing but the operator can say that this is meant.
fn ask_about_slugs(planning: &mut Planning<'_>) -> Result<(), Refusal> {
    planning.notes.extend(planning.survey.slugs_not_looked_at.clone());
    let root = &planning.classification.root.table;
    for found in &planning.survey.repeated_slugs {
        let samples: Vec<String> =
            found.samples.iter().map(|(value, keys)| format!("{value} ({})", keys.join("; "))).collect();
        let values = if found.values == 1 {
            "1 value".to_owned()
        } else {
            format!("{} values", thousands(found.values))
        };
        let mut question = Question {
            id: format!("slug:{root}.{}", found.column),
            text: format!(
                "{values} of {root}.{} belong to several tenants, compared without regard to case: {}. A URL could not tell \
                 them apart: change the rows and plan again, or `{KEEP}` them as they are.",
                found.column,
                samples.join(", ")
            ),
            choices: vec![KEEP.to_owned()],
            default: None,
            answer: None,
        };
        question.answer = answer(planning.config, &question)?;
        planning.questions.push(question);
    }
    Ok(())
}

/// A category that decides no row needs no tenant.
fn sort_kinds(planning: &mut Planning<'_>) -> Result<(), Refusal> {
    for kind in kinds(&planning.catalog, planning.config, planning.classification)? {
        let path = kind.path();
        let mut evidence = planning.survey.tables.values().flat_map(|table| &table.inferred);
        if evidence.any(|evidence| evidence.path == path && evidence.rows > 0) {
            planning.kinds.push(kind);
        } else {
            planning.notes.push(format!(
                "no group of unreachable rows is wholly of the category {}, so it gets no tenant",
                kind.category
            ));
        }
    }
    Ok(())
}

/// One question for each group of rows that may be a lost tenant.
fn propose_tenants(planning: &mut Planning<'_>) -> Result<(), Refusal> {
    let survey = planning.survey;
    if let Some(why) = &survey.not_grouped {
        planning.notes.push(why.clone());
    }
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for proposal in &survey.proposals {
        let anchor = format!("{} {}", proposal.table, proposal.key.join(", "));
        let classes = planning.classification;
        let made =
            quarantine::proposed(&planning.catalog, &classes.root, |table| classes.class(table), proposal);
        // A short text key may have no room to tell two groups apart.
        let made = made.and_then(|step| {
            let taken = || format!("the id {} it would have is another group's", step.id);
            if ids.insert(step.id.clone()) { Ok(step) } else { Err(taken()) }
        });
        let step = match (made, proposal.refused.clone()) {
            (Ok(step), None) => step,
            (Err(reason), _) | (_, Some(reason)) => {
                planning.notes.push(format!(
                    "{} rows hang together with {anchor} and belong to no tenant; they cannot become one ({reason})",
                    thousands(proposal.rows)
                ));
                continue;
            }
        };
        let mut question = Question {
            id: format!("tenant:{}:{}", proposal.table, proposal.key.join(",")),
            text: tenant_text(proposal, &anchor),
            choices: vec![CREATE.to_owned(), QUARANTINE.to_owned()],
            default: Some(QUARANTINE.to_owned()),
            answer: None,
        };
        question.answer = answer(planning.config, &question)?;
        if question.answer.as_deref() == Some(CREATE) {
            planning.proposed.push((step, proposal));
        }
        planning.questions.push(question);
    }
    Ok(())
}

fn tenant_text(proposal: &Proposal, anchor: &str) -> String {
    let tables: Vec<String> =
        proposal.tables.iter().map(|(table, rows)| format!("{} of {table}", thousands(*rows))).collect();
    format!(
        "{} rows hang together and belong to no tenant: {} (around {anchor}; also {}). `{CREATE}`: they become a tenant of \
         their own, named {} ({}), with the slug {}. `{QUARANTINE}`: they go there.",
        thousands(proposal.rows),
        tables.join(", "),
        proposal.samples.join("; "),
        proposal.name,
        proposal.named_by,
        proposal.slug
    )
}

fn decisions(classification: &Classification, survey: &Survey) -> BTreeMap<QualifiedName, TableDecision> {
    let mut decisions: BTreeMap<QualifiedName, TableDecision> = classification
        .tables
        .iter()
        .map(|(name, classified)| {
            let decision = TableDecision {
                class: classified.class,
                because: classified.because.clone(),
                tenant_column: classified.tenant_column.clone(),
                survey: survey.tables.get(name).cloned(),
            };
            (name.clone(), decision)
        })
        .collect();
    if classification.root.new {
        decisions.insert(classification.root.table.clone(), new_root(&classification.root));
    }
    decisions
}

fn new_root(root: &TenantRoot) -> TableDecision {
    TableDecision {
        class: Class::Scoped,
        because: "made by this plan; its rows are the tenants".to_owned(),
        tenant_column: Some(TenantColumn {
            name: root.key.clone(),
            type_name: root.key_type.clone(),
            origin: ColumnOrigin::RootKey,
        }),
        survey: None,
    }
}
