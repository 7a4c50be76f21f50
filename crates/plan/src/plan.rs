//! The plan: how each table is classified, what is still open, and each step that will run. Pure data.

use std::{collections::BTreeMap, fmt};

use bastide_catalog::{Fingerprint, TypeName};
use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

use crate::{Config, Settlement, Step, StepId, TableSurvey, survey::LinkSurvey};

/// Bumped when an older binary could misread the file.
pub const PLAN_FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub format: u32,
    /// Version of the binary that wrote it.
    pub bastide: String,
    pub database: Database,
    /// What it was planned against, object by object: a plan is stale when this has changed.
    pub fingerprint: Fingerprint,
    pub config: Config,
    pub root: TenantRoot,
    /// The tenant that receives rows no evidence settles; `None` when nothing can need it.
    pub quarantine: Option<Tenant>,
    pub tables: BTreeMap<QualifiedName, TableDecision>,
    pub links: Vec<LinkSurvey>,
    pub questions: Vec<Question>,
    /// Things the operator should know that stop nothing.
    pub notes: Vec<String>,
    pub steps: Vec<PlannedStep>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    pub name: Ident,
    pub system_identifier: Option<String>,
    pub oid: u32,
    pub server_version: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRoot {
    pub table: QualifiedName,
    pub key: Ident,
    pub key_type: TypeName,
    /// Made by this plan.
    pub new: bool,
    /// With a new root: the one tenant that everything there is belongs to.
    pub first_tenant: Option<Tenant>,
}

/// A row of the root that the plan makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The key's text form; `id::key_type` is the value.
    pub id: String,
    pub name: String,
    pub slug: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDecision {
    pub class: Class,
    /// One sentence: the evidence for the class.
    pub because: String,
    pub tenant_column: Option<TenantColumn>,
    pub survey: Option<TableSurvey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Every row belongs to exactly one tenant.
    Scoped,
    /// Reference data, the same for all; the application may read it.
    Shared,
    /// Out of the application's reach: excluded, or nothing says whose its rows are.
    Closed,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scoped => "scoped",
            Self::Shared => "shared",
            Self::Closed => "closed",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantColumn {
    pub name: Ident,
    pub type_name: TypeName,
    pub origin: ColumnOrigin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnOrigin {
    /// The root's own key.
    RootKey,
    /// A legacy column that references the root with the root's type.
    Reused,
    Added,
}

/// Something only the operator can settle. The run stops before it changes anything while one is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Stable: `class:public.notes`, `link:public.orders:orders_customer_id_fkey`, …
    pub id: String,
    pub text: String,
    pub choices: Vec<String>,
    /// What `--accept-defaults` answers; safe, never a guess. `None`: only the operator can.
    pub default: Option<String>,
    pub answer: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    pub id: StepId,
    pub phase: Phase,
    pub step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Preflight,
    Backup,
    Analysis,
    Assignment,
    Policies,
    Validation,
    Optimisation,
    /// After the seven: `rls cutover`.
    Cutover,
}

impl Phase {
    pub const SEVEN: [Self; 7] = [
        Self::Preflight,
        Self::Backup,
        Self::Analysis,
        Self::Assignment,
        Self::Policies,
        Self::Validation,
        Self::Optimisation,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Backup => "backup",
            Self::Analysis => "analysis",
            Self::Assignment => "assignment",
            Self::Policies => "policies",
            Self::Validation => "validation",
            Self::Optimisation => "optimisation",
            Self::Cutover => "cutover",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Phase {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::SEVEN.into_iter().chain([Self::Cutover]).find(|phase| phase.name() == text).ok_or_else(|| {
            let names = Self::SEVEN.map(Self::name).join(", ");
            format!("`{text}` is no phase; the phases are {names}, cutover")
        })
    }
}

impl Plan {
    /// Questions that stop the run.
    pub fn open(&self) -> impl Iterator<Item = &Question> {
        self.questions.iter().filter(|question| question.answer.is_none())
    }

    /// What becomes of a link's crossing rows; `None` while that is open, or when none crossed.
    #[must_use]
    pub fn settlement(&self, link: &LinkSurvey) -> Option<Settlement> {
        let id = crate::links::id(link);
        let question = self.questions.iter().find(|question| question.id == id)?;
        question.answer.as_deref().and_then(Settlement::of)
    }

    /// Whether the operator accepted in writing that the root is no tenant boundary.
    #[must_use]
    pub fn boundary_accepted(&self) -> bool {
        let id = crate::boundary::question_id(&self.root.table);
        self.questions.iter().any(|question| question.id == id && question.answer.is_some())
    }

    pub fn steps_of(&self, phase: Phase) -> impl Iterator<Item = &PlannedStep> {
        self.steps.iter().filter(move |step| step.phase == phase)
    }

    pub fn tables_of(&self, class: Class) -> impl Iterator<Item = (&QualifiedName, &TableDecision)> {
        self.tables.iter().filter(move |(_, decision)| decision.class == class)
    }
}
