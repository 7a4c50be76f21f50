//! The classification, as far as it goes: around a root that cannot be one, tables that stand in the way, and tables that
//! cannot be read.

use std::collections::BTreeMap;

use bastide_catalog::Catalog;
use bastide_plan::{
    Class, Config, Question, Refusal, RootChoice, TenantColumn, TenantRoot, Usage,
    classify::{Classification, classify},
};
use bastide_record::FoundClass;
use bastide_sql::{QualifiedName, sql};

use super::{Asked, barred::family};
use crate::{
    SurveyError,
    reading::Reading,
    survey::{Progress, classified},
};

/// Whose rows are, by table; and what kept it from being said.
#[derive(Default)]
pub(super) struct Shape {
    /// `None` without a root.
    pub(super) classification: Option<Classification>,
    /// What it was made with, tables that had to be left out excluded.
    pub(super) config: Option<Config>,
    pub(super) usage: BTreeMap<QualifiedName, Usage>,
    /// Tables that could not be classified with the others, and why.
    pub(super) left_out: BTreeMap<QualifiedName, String>,
    pub(super) obstacles: Vec<String>,
    /// Why tenants cannot be counted.
    pub(super) not_counted: Option<String>,
}

impl Shape {
    fn rootless(obstacles: Vec<String>, why: &str) -> Self {
        Self { obstacles, not_counted: Some(why.to_owned()), ..Self::default() }
    }

    pub(super) fn root(&self) -> Option<&TenantRoot> {
        Some(&self.classification.as_ref()?.root)
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        let questions = self.classification.iter().flat_map(|found| &found.questions);
        questions.filter(|question| question.answer.is_none()).cloned().collect()
    }

    pub(super) fn of(
        &self,
        table: &QualifiedName,
        asked: &Asked,
    ) -> (FoundClass, String, Option<TenantColumn>) {
        if asked.excludes(table) {
            return (FoundClass::Excluded, "left out, as told".to_owned(), None);
        }
        if let Some(why) = self.left_out.get(table) {
            return (FoundClass::Unclear, why.clone(), None);
        }
        let Some(classification) = &self.classification else {
            return (FoundClass::Unclear, "whose its rows are depends on the tenant root".to_owned(), None);
        };
        match classification.tables.get(table) {
            Some(found) => {
                let class = match found.class {
                    Class::Scoped => FoundClass::Scoped,
                    Class::Shared => FoundClass::Shared,
                    Class::Closed => FoundClass::Unclear,
                };
                let unmeasured = class == FoundClass::Unclear && classification.wanted.contains(table);
                let because = if unmeasured {
                    "rows of tenants refer to it, and whether one tenant's or several was not measured"
                        .to_owned()
                } else {
                    found.because.clone()
                };
                (class, because, found.tenant_column.clone())
            }
            None => (FoundClass::Unclear, "nothing says whose its rows are".to_owned(), None),
        }
    }
}

pub(super) async fn shape(
    reading: &mut Reading<'_>,
    catalog: &Catalog,
    asked: &Asked,
    barred: &BTreeMap<QualifiedName, String>,
    progress: Progress<'_>,
) -> Result<Shape, SurveyError> {
    let Some(root) = &asked.root else {
        return Ok(Shape::rootless(Vec::new(), "no tenant root was named"));
    };
    if let RootChoice::Existing(table) = root
        && let Some(why) = barred.get(table)
    {
        return Ok(Shape::rootless(vec![format!("{table}: {why}")], "the tenant root cannot be read"));
    }
    let not_counted = no_temporary_tables(reading, catalog).await?;
    let mut shape = Shape { config: Some(asked.config(root)), not_counted, ..Shape::default() };
    loop {
        let Some(mut config) = shape.config.clone() else { return Ok(shape) };
        // Without reading a row: what the references alone make scoped.
        match classify(catalog, &config, &BTreeMap::new()) {
            Ok(by_reference) => {
                shape.leave_out_barred(catalog, &by_reference, barred, &mut config);
                shape.config = Some(config);
            }
            Err(refusal) => match shape.around(catalog, refusal)? {
                Some(rootless) => return Ok(rootless),
                None => continue,
            },
        }
        let Some(config) = shape.config.clone() else { return Ok(shape) };
        if shape.not_counted.is_some() {
            // Nor can be how tenants use what is not scoped by its references.
            shape.classification = Some(classify(catalog, &config, &shape.usage)?);
            return Ok(shape);
        }
        let mut part = reading.savepoint("classify tables").await?;
        let outcome = classified(&mut part, catalog, &config, &mut shape.usage, progress).await;
        match outcome {
            Ok(classification) => {
                // With the keys that files gave.
                part.keep("classify tables").await?;
                shape.classification = Some(classification);
            }
            Err(error) => {
                part.rollback("classify tables").await?;
                if let SurveyError::Refused(refusal) = error {
                    match shape.around(catalog, refusal)? {
                        Some(rootless) => return Ok(rootless),
                        None => continue,
                    }
                }
                // As far as it went; with less measured than it asks for it is not final, and nothing may be counted on it.
                let why = error.without_rows()?;
                shape.classification = Some(classify(catalog, &config, &shape.usage)?);
                shape.not_counted.get_or_insert(why);
            }
        }
        return Ok(shape);
    }
}

/// Inference needs them, and so does measuring how tenants use a table.
async fn no_temporary_tables(
    reading: &Reading<'_>,
    catalog: &Catalog,
) -> Result<Option<String>, SurveyError> {
    let what = "look what this login may do";
    let row = reading
        .query_one(&sql!("SELECT has_database_privilege(current_database(), 'TEMPORARY')"), what)
        .await?;
    let may: bool = row.try_get(0).map_err(SurveyError::during(what))?;
    let (database, login) = (&catalog.server.database, &catalog.server.current_user);
    Ok((!may).then(|| {
        format!("it takes temporary tables, which {login} may not make: GRANT TEMPORARY ON DATABASE {database} TO {login}")
    }))
}

impl Shape {
    /// Tables that cannot be read are classified as if they had been excluded. Where one of them is scoped, what its rows say
    /// would be missing, so tenants are not counted at all.
    fn leave_out_barred(
        &mut self,
        catalog: &Catalog,
        by_reference: &Classification,
        barred: &BTreeMap<QualifiedName, String>,
        config: &mut Config,
    ) {
        let mut scoped = Vec::new();
        for (table, why) in barred {
            if by_reference.is_scoped(table) {
                scoped.push(format!("{table}: {why}"));
                continue;
            }
            for member in family(catalog, table) {
                self.left_out.entry(member.clone()).or_insert_with(|| format!("not read: {why}"));
                config.exclude_tables.insert(member);
            }
        }
        if !scoped.is_empty() {
            self.not_counted = Some(format!(
                "it takes every table that rows of tenants are in, and not all can be read: {}",
                scoped.join("; ")
            ));
        }
    }

    /// Goes on without the table that a refusal is about, as if it had been excluded, or without a root. An `Err` is about the settings.
    fn around(&mut self, catalog: &Catalog, refusal: Refusal) -> Result<Option<Self>, SurveyError> {
        let said = refusal.to_string();
        match refusal {
            Refusal::UnsupportedTable { table, .. }
            | Refusal::ColumnTaken { table }
            | Refusal::TooManyColumns { table, .. }
                if !self.left_out.contains_key(&table) =>
            {
                for member in family(catalog, &table) {
                    self.left_out.insert(member.clone(), said.clone());
                    if let Some(config) = &mut self.config {
                        config.exclude_tables.insert(member);
                    }
                }
                self.obstacles.push(said);
                Ok(None)
            }
            Refusal::RootNotFound { .. }
            | Refusal::RootNotATable { .. }
            | Refusal::RootWithoutKey { .. }
            | Refusal::RootKeyCollation { .. }
            | Refusal::NewRootTaken { .. }
            | Refusal::NewRootSchema { .. } => {
                let mut obstacles = std::mem::take(&mut self.obstacles);
                obstacles.push(said);
                Ok(Some(Self::rootless(obstacles, "the tenant root cannot be one")))
            }
            other => Err(other.into()),
        }
    }
}
