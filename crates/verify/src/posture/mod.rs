//! What the checks look at: the catalog, and what only the server can say about it (who reaches what, how it prints the
//! policy that ought to be there). Plain data once read, so a check is a pure function and its test needs no server.

mod context;
#[cfg(test)]
pub(crate) mod fixture;
mod paths;
mod predicates;
mod read;
mod rights;
mod surroundings;

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, ForeignKey, Policy, PolicyCommand, Table, View};
use bastide_sql::{Ident, QualifiedName, Sql, sql};

pub(crate) use context::KeptFunction;
pub(crate) use paths::Called;
pub(crate) use rights::{Creation, Ownership, Preset, Reach};
pub(crate) use surroundings::Surroundings;
#[cfg(test)]
pub(crate) use surroundings::{Foreign, KeptDefault, LargeObject, ParameterGrant, TriggerOff, Withheld};

/// One database as seen by one application role.
#[derive(Clone, Debug)]
pub(crate) struct Posture {
    pub(crate) catalog: Catalog,
    pub(crate) app: Ident,
    /// `app` and every role it may become by `SET ROLE`.
    pub(crate) roles: Vec<Ident>,
    /// A run has not been cut over yet: legacy logins still see everything, and that is a state.
    pub(crate) pending_cutover: bool,
    /// Scoped tables and what inherits from them.
    pub(crate) scoped: BTreeMap<QualifiedName, Scoped>,
    /// What the newest run decided, where it says so. Without it any unscoped table passes for shared.
    pub(crate) classes: Option<BTreeMap<QualifiedName, String>>,
    /// What the operator accepted in the newest run's plan, and that run.
    pub(crate) accepted: Option<Accepted>,
    /// Relations outside `bastide` that one of `roles` has a privilege on, in a schema it may use.
    pub(crate) reach: BTreeMap<QualifiedName, Reach>,
    /// The same inside schema `bastide`.
    pub(crate) kept: BTreeMap<QualifiedName, Reach>,
    /// All tables inside schema `bastide`.
    pub(crate) kept_tables: Vec<QualifiedName>,
    /// Functions outside `bastide` that one of `roles` may call: name and identity arguments.
    pub(crate) callable: BTreeSet<(QualifiedName, Sql)>,
    /// Functions whose body reads the tenant context.
    pub(crate) context_readers: BTreeSet<(QualifiedName, Sql)>,
    /// The functions of schema `bastide`.
    pub(crate) functions: Vec<KeptFunction>,
    /// The body `bastide.current_tenant` must have, as this server prints it.
    pub(crate) expected_context_body: String,
    /// The bodies `bastide.set_tenant` may have: one for each type of tenant column.
    pub(crate) expected_setter_bodies: Vec<String>,
    /// The relations each rewrite rule names, by table and rule.
    pub(crate) rule_touches: BTreeMap<(QualifiedName, Ident), Vec<QualifiedName>>,
    /// `ALTER ROLE`/`ALTER DATABASE … SET` that apply to one of `roles`.
    pub(crate) presets: Vec<Preset>,
    pub(crate) creations: Vec<Creation>,
    /// What `roles` own.
    pub(crate) owned: Vec<Ownership>,
    /// The application may switch triggers and foreign keys off (`session_replication_role`).
    pub(crate) may_disable_triggers: bool,
    /// Functions on the way from each view to rows.
    pub(crate) calls: BTreeMap<QualifiedName, Vec<Called>>,
    pub(crate) around: Surroundings,
}

/// A scoped table, or a child of one.
#[derive(Clone, Debug)]
pub(crate) struct Scoped {
    pub(crate) tenant_column: Ident,
    /// Named by `bastide.scoped_tables`, rather than only a child of such a table.
    pub(crate) declared: bool,
    /// The predicates that are right for its tenant column, as this server prints them.
    pub(crate) expected: Vec<String>,
    /// The column's type without a length: what the setting is cast to.
    pub(crate) kind: Sql,
    /// Rows without a tenant, counted up to a thousand.
    pub(crate) null_rows: u64,
}

/// Weaknesses that the operator chose to live with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) run: String,
    /// Ids of the plan's questions, and the answers that accept what they ask about.
    pub(crate) questions: BTreeMap<String, String>,
}

impl Accepted {
    /// The questions about what verification would fail for, and what accepts it.
    const ANSWERS: [(&str, &str); 9] = [
        ("key:", "keep"),
        ("notify:", "accept"),
        ("definer:", "accept"),
        ("leakproof:", "accept"),
        ("enforcement:", "accept"),
        ("large_objects", "accept"),
        ("seal:", "accept"),
        ("server:", "accept"),
        ("wrapper:", "accept"),
    ];

    fn accepts(question: &str, answer: &str) -> bool {
        Self::ANSWERS.iter().any(|(prefix, accepting)| question.starts_with(prefix) && answer == *accepting)
    }
}

impl Posture {
    /// Who accepted a key of `table`, where somebody did.
    pub(crate) fn acceptance(&self, table: &QualifiedName, key: &Ident) -> Option<String> {
        self.accepted_by(&format!("key:{table}.{key}"))
    }

    /// Who accepted what `question` asks about, where somebody did: what a message ends with.
    pub(crate) fn accepted_by(&self, question: &str) -> Option<String> {
        let accepted = self.accepted.as_ref()?;
        let answer = accepted.questions.get(question)?;
        let run = &accepted.run;
        Some(format!("; the operator accepted that (`{question}` = `{answer}` in the plan of run {run})"))
    }

    pub(crate) fn database(&self) -> bastide_record::DatabaseId {
        let server = &self.catalog.server;
        bastide_record::DatabaseId {
            name: server.database.as_str().to_owned(),
            system_identifier: server.system_identifier.clone(),
            oid: server.database_oid,
        }
    }

    /// Scoped tables by declaration.
    pub(crate) fn declared(&self) -> impl Iterator<Item = (&QualifiedName, &Scoped)> {
        self.scoped.iter().filter(|(_, scoped)| scoped.declared)
    }

    /// Scoped tables that exist, with what the catalog knows of them.
    pub(crate) fn scoped_tables(&self) -> impl Iterator<Item = (&Table, &Scoped)> {
        self.scoped.iter().filter_map(|(name, scoped)| Some((self.catalog.table(name)?, scoped)))
    }

    pub(crate) fn is_scoped(&self, name: &QualifiedName) -> bool {
        self.scoped.contains_key(name)
    }

    pub(crate) fn class(&self, name: &QualifiedName) -> Option<&str> {
        self.classes.as_ref()?.get(name).map(String::as_str)
    }

    pub(crate) fn reaches(&self, name: &QualifiedName, privilege: &str) -> bool {
        self.reach.get(name).is_some_and(|reach| reach.may(privilege))
    }

    /// Whether a list of grantees or policy roles, where empty or `None` stands for PUBLIC, includes the application.
    pub(crate) fn is_app(&self, grantee: Option<&Ident>) -> bool {
        grantee.is_none_or(|role| self.roles.contains(role))
    }

    pub(crate) fn applies_to_app(&self, policy: &Policy) -> bool {
        policy.roles.is_empty() || policy.roles.iter().any(|role| self.roles.contains(role))
    }

    /// The tables and views that a view reads, however deep.
    pub(crate) fn reads(&self, view: &QualifiedName) -> BTreeSet<&QualifiedName> {
        self.reads_where(view, |_| true)
    }

    /// What a view reads as its owner rather than as whoever asks: past an invoker view that it reads, the asker counts.
    pub(crate) fn reads_as_owner(&self, view: &QualifiedName) -> BTreeSet<&QualifiedName> {
        self.reads_where(view, |view| view.materialised || !view.security_invoker)
    }

    fn reads_where(&self, view: &QualifiedName, enters: impl Fn(&View) -> bool) -> BTreeSet<&QualifiedName> {
        let reads = |name: &QualifiedName| {
            self.catalog.views.get(name).filter(|view| enters(view)).map(|view| &view.reads)
        };
        let mut seen = BTreeSet::new();
        let mut open: Vec<&QualifiedName> = reads(view).into_iter().flatten().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(reads(next).into_iter().flatten());
            }
        }
        seen
    }

    /// Views, not materialised, through which the application reads or writes as their owners.
    pub(crate) fn owners_views(&self) -> impl Iterator<Item = &View> {
        let views = self.catalog.views.values().filter(|view| !view.materialised && !view.security_invoker);
        views.filter(|view| self.reach.contains_key(&view.name))
    }

    /// Whom to take a privilege from, so that no role the application may become keeps it: an owner has it anyway, and a
    /// predefined role is a finding by itself.
    pub(crate) fn grantees(&self, owner: Option<&Ident>) -> Sql {
        let roles =
            self.roles.iter().filter(|role| Some(*role) != owner && !role.as_str().starts_with("pg_"));
        let roles = roles.map(|role| sql!("{}", role));
        sql!("{}", bastide_sql::join(std::iter::once(sql!("PUBLIC")).chain(roles), ", "))
    }

    /// The roles the application was made a member of on the way to `role`: what to revoke so that it cannot become it.
    pub(crate) fn ways_to(&self, role: &Ident) -> Sql {
        let direct = self.catalog.roles.get(&self.app).into_iter().flat_map(|app| &app.member_of);
        let leading: Vec<&Ident> =
            direct.filter(|first| self.catalog.membership_closure(first).contains(role)).collect();
        if leading.is_empty() { sql!("{}", role) } else { sql!("{}", bastide_sql::join(leading, ", ")) }
    }

    /// A role that no policy binds, FORCE or not.
    pub(crate) fn unbound(&self, role: &Ident) -> bool {
        self.catalog.roles.get(role).is_some_and(|role| role.superuser || role.bypass_rls)
    }

    /// The scoped tables that a view shows something of, however deep.
    pub(crate) fn scoped_reads(&self, view: &QualifiedName) -> Vec<&QualifiedName> {
        self.reads(view).into_iter().filter(|name| self.is_scoped(name)).collect()
    }

    /// The tenant root is scoped by its own key: no foreign key makes that column alone somebody else's. (A composite one
    /// may hold it: a root that points at one of its tenant's rows closes a circle.)
    pub(crate) fn is_root(&self, table: &Table) -> bool {
        let Some(scoped) = self.scoped.get(&table.name) else { return false };
        let own_key = table.keys.iter().any(|key| key.columns == [scoped.tenant_column.clone()]);
        own_key && !table.foreign_keys.iter().any(|link| link.columns == [scoped.tenant_column.clone()])
    }

    /// Whether a foreign key between scoped tables compares the tenants too.
    pub(crate) fn carries_tenant(&self, table: &Table, link: &ForeignKey) -> bool {
        let (Some(child), Some(parent)) = (self.scoped.get(&table.name), self.scoped.get(&link.references))
        else {
            return false;
        };
        link.columns
            .iter()
            .zip(&link.referenced_columns)
            .any(|(from, to)| *from == child.tenant_column && *to == parent.tenant_column)
    }
}

/// The policy that ought to be there, for a message that can be pasted.
pub(crate) fn right_predicate(scoped: &Scoped) -> Sql {
    sql!("{} = (SELECT bastide.current_tenant()::{})", scoped.tenant_column, scoped.kind)
}

/// Which halves of a policy its command uses: (USING, WITH CHECK).
pub(crate) fn halves(command: PolicyCommand) -> (bool, bool) {
    match command {
        PolicyCommand::All | PolicyCommand::Update => (true, true),
        PolicyCommand::Select | PolicyCommand::Delete => (true, false),
        PolicyCommand::Insert => (false, true),
    }
}

/// The policy that ought to be the tenant's: the one Bastide made, else the first that lets the application in.
pub(crate) fn main_policy<'a>(posture: &Posture, table: &'a Table) -> Option<&'a Policy> {
    let mut candidates =
        table.policies.iter().filter(|policy| policy.permissive && posture.applies_to_app(policy));
    let first = candidates.clone().next();
    candidates.find(|policy| policy.name.as_str() == "bastide_tenant").or(first)
}

/// Both halves, as far as the policy's command uses them, are the expected comparison.
pub(crate) fn policy_is_right(scoped: &Scoped, policy: &Policy) -> bool {
    let using = policy.using.as_ref().is_some_and(|predicate| scoped.expects(predicate));
    (using || !halves(policy.command).0) && check_is_right(scoped, policy)
}

/// Writes are checked by the expected comparison, by USING where the policy has no check of its own.
pub(crate) fn check_is_right(scoped: &Scoped, policy: &Policy) -> bool {
    let check = policy.with_check.as_ref().or(policy.using.as_ref());
    !halves(policy.command).1 || check.is_some_and(|predicate| scoped.expects(predicate))
}

impl Scoped {
    fn unread(tenant_column: Ident, declared: bool) -> Self {
        Self { tenant_column, declared, expected: Vec::new(), kind: Sql::trusted("text"), null_rows: 0 }
    }

    fn expects(&self, predicate: &Sql) -> bool {
        self.expected.iter().any(|expected| expected == predicate.as_str())
    }
}
