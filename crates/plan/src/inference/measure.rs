//! Inference for a survey: the same fixpoint, counted instead of recorded.

use bastide_catalog::Catalog;
use bastide_sql::{QualifiedName, Sql};

use super::{Graph, Link};

/// `prepare` fills the work tables; the rest reads them. All in one transaction, which is rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyScript {
    pub prepare: Vec<Sql>,
    pub tables: Vec<TableMeasure>,
    pub links: Vec<LinkMeasure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMeasure {
    pub table: QualifiedName,
    /// One row: rows, rows that had a tenant (both bigint).
    pub counts: Sql,
    /// Rows of (kind text, path text, rows bigint); kinds as in `bastide.rule`.
    pub evidence: Option<Sql>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMeasure {
    pub link: Link,
    /// One row: rows with a reference, rows that cross (both bigint).
    pub counts: Sql,
    /// Up to five rows of one text column: keys of crossing rows.
    pub samples: Sql,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageMeasure {
    pub table: QualifiedName,
    /// One row: rows, rows used by one tenant, rows used by several (all bigint).
    pub counts: Sql,
}

#[must_use]
pub fn survey_script(_graph: &Graph) -> SurveyScript {
    SurveyScript { prepare: Vec::new(), tables: Vec::new(), links: Vec::new() }
}

/// How tenants use the rows of tables that are not scoped; runs after [`SurveyScript::prepare`].
#[must_use]
pub fn usage_script(_graph: &Graph, _catalog: &Catalog, _wanted: &[QualifiedName]) -> Vec<UsageMeasure> {
    Vec::new()
}

/// How many rows of each link join two tenants now, by the tenant columns as they are filled. For cutover.
#[must_use]
pub fn crossing_counts(_graph: &Graph) -> Vec<LinkMeasure> {
    Vec::new()
}
