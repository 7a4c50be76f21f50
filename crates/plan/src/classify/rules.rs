//! The rules of classification, in the order in which they win: what the operator said, the foreign keys up to the root,
//! what shared tables refer to, and what the rows were measured to be used by.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Table};
use bastide_sql::QualifiedName;

use super::{
    because::{self, Hop, used},
    family::Families,
};
use crate::{Class, Config, Question, Refusal, TenantRoot, Usage, settlement::can_copy_all};

/// Fewer used rows than this say nothing about whose a table is.
const ENOUGH_ROWS: u64 = 20;

/// From this share of rows that several tenants use, a table is taken for reference data unless the operator says otherwise.
/// Below it most rows are one tenant's, and whoever shared them would show them to all.
const REFERENCE_DATA_PERCENT: u64 = 10;

pub(super) struct Ruled {
    pub(super) classes: BTreeMap<QualifiedName, (Class, String)>,
    pub(super) wanted: Vec<QualifiedName>,
    pub(super) questions: Vec<Question>,
}

/// Each tenant that uses a row gets its own copy of it.
pub(crate) const COPY: &str = "copy";

/// Why the operator left a table out.
pub(crate) fn excluded(config: &Config, table: &QualifiedName) -> Option<String> {
    if config.exclude_tables.contains(table) {
        return Some(format!("excluded with --exclude-table {table}"));
    }
    config
        .exclude_schemas
        .contains(&table.schema)
        .then(|| format!("excluded with --exclude-schema {}", table.schema))
}

pub(super) fn apply(
    catalog: &Catalog,
    config: &Config,
    usage: &BTreeMap<QualifiedName, Usage>,
    root: &TenantRoot,
) -> Result<Ruled, Refusal> {
    let families = Families::of(catalog);
    let referenced = config.declared.as_foreign_keys(catalog);
    let mut rules = Rules {
        personal: personal(catalog, &families),
        usage: family_usage(catalog, &families, usage),
        copyable: families
            .heads()
            .map(|(head, _)| head)
            .filter(|head| can_copy_all(&referenced, head))
            .cloned()
            .collect(),
        edges: edges(catalog, config, &families),
        root,
        classes: BTreeMap::new(),
        paths: BTreeMap::new(),
        questions: BTreeMap::new(),
        wanted: BTreeSet::new(),
    };
    rules.declare(catalog, config, &families)?;
    rules.settle(config)?;
    rules.ask(config, &families)?;

    let mut classes = BTreeMap::new();
    for (head, members) in families.heads() {
        let (class, because) =
            rules.classes.get(head).cloned().unwrap_or_else(|| (Class::Closed, nothing_says()));
        for member in members {
            let because = if member == head { because.clone() } else { format!("{because} (with {head})") };
            classes.insert(member.clone(), (class, because));
        }
    }
    let wanted = rules
        .wanted
        .iter()
        .flat_map(|head| families.members(head))
        .filter(|name| catalog.table(name).is_some_and(Table::holds_rows))
        .cloned()
        .collect();
    Ok(Ruled { classes, wanted, questions: rules.questions.into_values().collect() })
}

/// Words in a column's name that make its table nothing to share without being asked. A name is the weakest of hints, so
/// this one only ever errs to the safe side: it turns "shared" into a question.
const PERSONAL: [&str; 10] =
    ["password", "passwd", "secret", "token", "apikey", "ssn", "birth", "iban", "email", "salary"];

fn personal(catalog: &Catalog, families: &Families) -> BTreeMap<QualifiedName, String> {
    let mut found = BTreeMap::new();
    for table in catalog.tables.values() {
        let column = table.columns.iter().find(|column| {
            let name: String = column
                .name
                .as_str()
                .chars()
                .filter(|c| c.is_alphanumeric())
                .collect::<String>()
                .to_lowercase();
            PERSONAL.iter().any(|word| name.contains(word))
        });
        if let Some(column) = column {
            found.entry(families.head(&table.name).clone()).or_insert_with(|| column.name.to_string());
        }
    }
    found
}

fn nothing_says() -> String {
    "nothing says whose its rows are".to_owned()
}

/// A foreign key between two families.
struct Edge {
    child: QualifiedName,
    parent: QualifiedName,
    hop: Hop,
}

fn edges(catalog: &Catalog, config: &Config, families: &Families) -> Vec<Edge> {
    let mut edges: Vec<Edge> = Vec::new();
    for table in catalog.tables.values() {
        for key in table.foreign_keys.iter().filter(|key| !key.inherited) {
            edges.push(Edge {
                child: families.head(&table.name).clone(),
                parent: families.head(&key.references).clone(),
                hop: Hop { table: table.name.clone(), columns: key.columns.clone() },
            });
        }
    }
    for reference in &config.declared.references {
        edges.push(Edge {
            child: families.head(&reference.table).clone(),
            parent: families.head(&reference.references).clone(),
            hop: Hop { table: reference.table.clone(), columns: reference.columns.clone() },
        });
    }
    edges
}

/// What is known of a family is the sum over its members.
fn family_usage(
    catalog: &Catalog,
    families: &Families,
    usage: &BTreeMap<QualifiedName, Usage>,
) -> BTreeMap<QualifiedName, Usage> {
    // A partitioned table without partitions has nothing to measure.
    let holds_rows = |name: &QualifiedName| catalog.table(name).is_some_and(Table::holds_rows);
    let mut sums: BTreeMap<QualifiedName, Usage> = families
        .heads()
        .filter(|(_, members)| !members.iter().any(holds_rows))
        .map(|(head, _)| (head.clone(), Usage::default()))
        .collect();
    for (table, found) in usage {
        let sum = sums.entry(families.head(table).clone()).or_default();
        sum.rows += found.rows;
        sum.by_one += found.by_one;
        sum.by_many += found.by_many;
    }
    sums
}

struct Rules<'a> {
    /// Families with a column that looks like a person's, and that column's name.
    personal: BTreeMap<QualifiedName, String>,
    usage: BTreeMap<QualifiedName, Usage>,
    /// Tables whose rows can be there a second time, for another tenant.
    copyable: BTreeSet<QualifiedName>,
    edges: Vec<Edge>,
    root: &'a TenantRoot,
    classes: BTreeMap<QualifiedName, (Class, String)>,
    /// How a scoped family refers up to the root, or to the table that made it scoped.
    paths: BTreeMap<QualifiedName, (QualifiedName, Vec<Hop>)>,
    questions: BTreeMap<String, Question>,
    wanted: BTreeSet<QualifiedName>,
}

impl Rules<'_> {
    /// What needs no evidence: the root, exclusions, and answers given.
    fn declare(&mut self, catalog: &Catalog, config: &Config, families: &Families) -> Result<(), Refusal> {
        for (head, members) in families.heads() {
            let out: Vec<_> = members.iter().map(|member| excluded(config, member)).collect();
            if out.iter().all(Option::is_some) {
                if let Some(Some(because)) = out.into_iter().next() {
                    self.classes.insert(head.clone(), (Class::Closed, because));
                }
                continue;
            }
            if let Some((child, _)) = members.iter().zip(&out).find(|(_, out)| out.is_some()) {
                let parent = catalog.table(child).and_then(|table| table.parents.first()).unwrap_or(head);
                return Err(Refusal::ExcludedChild { child: child.clone(), parent: parent.clone() });
            }
            if *head == self.root.table {
                self.classes.insert(head.clone(), (Class::Scoped, "its rows are the tenants".to_owned()));
                self.paths.insert(head.clone(), (head.clone(), Vec::new()));
            } else if self.root.new || matches!(config.root, crate::RootChoice::New(_)) {
                let because = "the whole database was declared to be one tenant's (--new-tenant-root)";
                self.classes.insert(head.clone(), (Class::Scoped, because.to_owned()));
            }
        }
        for rule in &config.declared.rules {
            let head = families.head(&rule.table);
            if !self.classes.contains_key(head) {
                let because = format!("the rule {} says whose its rows are", rule.name);
                self.classes.insert(head.clone(), (Class::Scoped, because));
                self.paths.insert(head.clone(), (head.clone(), Vec::new()));
            }
        }
        Ok(())
    }

    /// The least fixpoint of the rules. What makes tables shared goes before what makes them scoped by their use, so
    /// that the outcome depends on no order.
    fn settle(&mut self, config: &Config) -> Result<(), Refusal> {
        loop {
            self.scope_downwards();
            if self.share_upwards() || self.ask_by_use(config)? {
                continue;
            }
            // Decided only when nothing is left to measure: a measurement may still make the table shared.
            if !self.wanted.is_empty() || !self.scope_by_use() {
                return Ok(());
            }
        }
    }

    /// Whoever references a scoped table is scoped.
    fn scope_downwards(&mut self) {
        loop {
            let mut found: BTreeMap<QualifiedName, (QualifiedName, Vec<Hop>)> = BTreeMap::new();
            for edge in self.edges.iter().filter(|edge| !self.classes.contains_key(&edge.child)) {
                if let Some((target, path)) = self.paths.get(&edge.parent) {
                    let longer = std::iter::once(edge.hop.clone()).chain(path.iter().cloned()).collect();
                    found.entry(edge.child.clone()).or_insert((target.clone(), longer));
                }
            }
            if found.is_empty() {
                return;
            }
            // One round is one hop, so that the shortest path is the one that is told.
            for (table, (target, path)) in found {
                self.wanted.remove(&table);
                self.classes.insert(table.clone(), (Class::Scoped, because::references(&target, &path)));
                self.paths.insert(table, (target, path));
            }
        }
    }

    /// What a shared table refers to is shared, but what looks like a person's, which is asked about.
    fn share_upwards(&mut self) -> bool {
        let found = self.edges.iter().find(|edge| {
            self.is(&edge.child, Class::Shared)
                && !self.classes.contains_key(&edge.parent)
                && !self.personal.contains_key(&edge.parent)
        });
        let Some(edge) = found else { return false };
        let (parent, because) =
            (edge.parent.clone(), format!("referenced by {}, which is shared", edge.child));
        self.wanted.remove(&parent);
        self.classes.insert(parent, (Class::Shared, because));
        true
    }

    /// Rows that several tenants use: what becomes of them is the operator's to say.
    fn ask_by_use(&mut self, config: &Config) -> Result<bool, Refusal> {
        let mut changed = false;
        for table in self.used_by_scoped() {
            let Some(usage) = self.usage.get(&table).copied() else {
                self.wanted.insert(table);
                continue;
            };
            // What looks personal is asked last: until then a path to the root may be found.
            if !used_by_several(usage) || self.personal.contains_key(&table) {
                continue;
            }
            let likely = usage.by_many * 100 >= used(usage) * REFERENCE_DATA_PERCENT;
            let default = if likely { Class::Shared } else { Class::Closed };
            self.put(config, table, &because::used_by_many(usage), default)?;
            changed = true;
        }
        Ok(changed)
    }

    fn scope_by_use(&mut self) -> bool {
        let mut changed = false;
        for table in self.used_by_scoped() {
            let Some(usage) = self.usage.get(&table).copied() else { continue };
            if used(usage) >= ENOUGH_ROWS && !used_by_several(usage) {
                self.classes.insert(table.clone(), (Class::Scoped, because::used_by_one(usage)));
                self.paths.insert(table.clone(), (table, Vec::new()));
                changed = true;
            }
        }
        changed
    }

    /// Tables without a class that scoped ones refer to.
    fn used_by_scoped(&self) -> BTreeSet<QualifiedName> {
        let scoped = self.edges.iter().filter(|edge| self.is(&edge.child, Class::Scoped));
        scoped.map(|edge| edge.parent.clone()).filter(|parent| !self.classes.contains_key(parent)).collect()
    }

    fn first_open(&self, families: &Families) -> Option<QualifiedName> {
        families.heads().map(|(head, _)| head).find(|head| !self.classes.contains_key(*head)).cloned()
    }

    fn is(&self, table: &QualifiedName, class: Class) -> bool {
        self.classes.get(table).is_some_and(|(found, _)| *found == class)
    }

    /// What is left is asked, one table after the other: an answer may settle the tables behind it.
    fn ask(&mut self, config: &Config, families: &Families) -> Result<(), Refusal> {
        while self.wanted.is_empty()
            && let Some(table) = self.first_open(families)
        {
            let measured = self.usage.get(&table).copied();
            let why = match (measured, self.personal.get(&table)) {
                (Some(usage), Some(column)) if used_by_several(usage) => {
                    format!("{}, but its column {column} looks like a person's", because::used_by_many(usage))
                }
                (Some(usage), _) => because::hardly_used(usage),
                (None, Some(column))
                    if self.edges.iter().any(|e| e.parent == table && self.is(&e.child, Class::Shared)) =>
                {
                    format!("referenced by a shared table, but its column {column} looks like a person's")
                }
                (None, _) => nothing_says(),
            };
            self.put(config, table, &why, Class::Closed)?;
            self.settle(config)?;
        }
        Ok(())
    }

    /// Asks whose the rows of `table` are. Until that is answered, the table has the class of the default.
    fn put(
        &mut self,
        config: &Config,
        table: QualifiedName,
        why: &str,
        default: Class,
    ) -> Result<(), Refusal> {
        let measured = self.usage.get(&table).copied();
        let mut question = class_question(&table, why, measured, self.copyable.contains(&table), default);
        question.answer = answer(config, &question)?;
        let class = match question.answer.as_deref() {
            Some("shared") => Class::Shared,
            Some("closed") => Class::Closed,
            Some(_) => Class::Scoped,
            None => default,
        };
        let because = match &question.answer {
            Some(answer) if config.answers.get(&question.id).is_some_and(|given| given == answer) => {
                format!("answered `{answer}` in the plan; {why}")
            }
            Some(_) => format!("{why}; {default} by default"),
            None => format!("{why}; {default} unless the question is answered otherwise"),
        };
        if class == Class::Scoped {
            self.paths.insert(table.clone(), (table.clone(), Vec::new()));
        }
        self.wanted.remove(&table);
        self.classes.insert(table, (class, because));
        self.questions.insert(question.id.clone(), question);
        Ok(())
    }
}

/// More than a few: what one row in a hundred is used for may be a mistake.
fn used_by_several(usage: Usage) -> bool {
    usage.by_many * 100 > used(usage)
}

fn class_question(
    table: &QualifiedName,
    why: &str,
    measured: Option<Usage>,
    copyable: bool,
    default: Class,
) -> Question {
    let mut choices = vec!["shared".to_owned(), "closed".to_owned()];
    let mut text = format!(
        "Whose are the rows of {table}? ({why}.) `shared`: reference data, every tenant may read all of it. `closed`: out \
         of the application's reach."
    );
    if measured.is_some() {
        choices.push("scoped".to_owned());
        text.push_str(" `scoped`: each row belongs to the tenant whose rows reference it.");
        if measured.is_some_and(|usage| usage.by_many > 0) {
            text.push_str(" What several tenants use goes to quarantine.");
            if copyable {
                choices.push(COPY.to_owned());
                text.push_str(
                    " `copy`: the same, but at cutover each tenant gets its own copy of what several use.",
                );
            }
        }
    }
    let (id, default) = (super::question(table), Some(default.to_string()));
    Question { id, text, choices, default, answer: None }
}

/// The operator's answer, else the default where defaults were accepted.
pub(crate) fn answer(config: &Config, question: &Question) -> Result<Option<String>, Refusal> {
    match config.answers.get(&question.id).filter(|answer| !answer.is_empty()) {
        Some(answer) if question.choices.contains(answer) => Ok(Some(answer.clone())),
        Some(answer) => Err(Refusal::BadAnswer {
            id: question.id.clone(),
            answer: answer.clone(),
            choices: question.choices.clone(),
        }),
        None if config.accept_defaults => Ok(question.default.clone()),
        None => Ok(None),
    }
}
