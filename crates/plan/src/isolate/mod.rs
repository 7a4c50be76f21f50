//! What closes the tables that a migration of a platform's own makes, which nobody uses yet: the steps that a run leaves a
//! legacy table closed with, from the same code, and only for tables whose keys can hold the wall up.

mod refuse;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Table};
use bastide_sql::{Ident, QualifiedName};

pub use self::refuse::CannotIsolate;
use crate::{
    Step, access,
    phases::{TENANT_POLICY, leads_with, reads_context, tables_read},
    steps::{
        AddTenantIndex, CloseTable, CreateAppRole, CreateContext, GrantApp, GrantObject, OwnMaterialisedView,
        ProtectTable, RestrictFunction, SetTenantDefault,
    },
};

/// How a table is to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Its rows are the tenants, each known by this column.
    Root(Ident),
    Scoped {
        column: Ident,
        /// Primary keys and numbers that count across tenants are as the application before tenancy knows them.
        legacy_keys: bool,
    },
    /// The application reads it; its rows are nobody's.
    Shared,
    /// The application has no grant on it.
    Closed,
}

impl Treatment {
    /// What the application's login holds on such a table, and no more.
    fn gives(&self) -> &'static [&'static str] {
        match self {
            Self::Root(_) => &["SELECT", "UPDATE"],
            Self::Scoped { .. } => &access::ROW_PRIVILEGES,
            Self::Shared => &["SELECT"],
            Self::Closed => &[],
        }
    }
}

/// What is to be isolated, and what already is.
#[derive(Clone, Debug)]
pub struct Isolation<'a> {
    pub root: &'a QualifiedName,
    pub root_column: &'a Ident,
    pub app_role: &'a Ident,
    /// What the migration says of the tables it makes.
    pub tables: &'a [(QualifiedName, Treatment)],
    /// The tables and views it made.
    pub made: &'a BTreeSet<QualifiedName>,
    /// The tables that were scoped before, with their tenant columns.
    pub scoped: &'a BTreeMap<QualifiedName, Ident>,
}

/// The steps, in order, for the catalog as the migration's own statements leave it.
///
/// # Errors
/// When a table cannot be kept apart as it is, or is not spoken of: nothing is mended in silence.
pub fn isolate(catalog: &Catalog, wanted: &Isolation<'_>) -> Result<Vec<Step>, CannotIsolate> {
    let members = refuse::members(catalog, wanted)?;
    let mut work =
        Work { catalog: catalog.clone(), wanted, scoped: wanted.scoped.clone(), steps: Vec::new() };
    work.scoped.extend(members.iter().map(|(name, column)| (name.clone(), column.clone())));
    refuse::check(&work.catalog, wanted, &work.scoped)?;
    work.foundation()?;
    for (table, column) in &members {
        work.close(table, column)?;
    }
    work.grants();
    work.views()?;
    work.functions();
    Ok(work.steps)
}

struct Work<'a> {
    /// As the steps so far leave it.
    catalog: Catalog,
    wanted: &'a Isolation<'a>,
    /// Partitions included.
    scoped: BTreeMap<QualifiedName, Ident>,
    steps: Vec<Step>,
}

impl Work<'_> {
    fn emit(&mut self, step: Step) {
        step.apply(&mut self.catalog);
        self.steps.push(step);
    }

    /// With the root come the context that policies read, and the login that they bind.
    fn foundation(&mut self) -> Result<(), CannotIsolate> {
        let root = |(table, treatment): &(QualifiedName, Treatment)| {
            matches!(treatment, Treatment::Root(_)) && table == self.wanted.root
        };
        if !self.wanted.tables.iter().any(root) {
            return Ok(());
        }
        let column = refuse::column(&self.catalog, self.wanted.root, self.wanted.root_column)?;
        let root_type = column.type_name.clone();
        self.emit(Step::CreateContext(CreateContext { root_type }));
        let role = self.wanted.app_role.clone();
        if !self.catalog.roles.contains_key(&role) {
            let database = self.catalog.server.database.clone();
            self.emit(Step::CreateAppRole(CreateAppRole { role, database }));
        }
        Ok(())
    }

    fn close(&mut self, name: &QualifiedName, column: &Ident) -> Result<(), CannotIsolate> {
        let found = refuse::column(&self.catalog, name, column)?;
        let (type_name, default) = (found.type_name.clone(), found.default.clone());
        let table = refuse::table(&self.catalog, name)?.clone();
        let root = name == self.wanted.root;
        if !root && !default.as_ref().is_some_and(reads_context) {
            self.emit(Step::SetTenantDefault(SetTenantDefault {
                table: name.clone(),
                column: column.clone(),
                type_name: type_name.clone(),
                constant: None,
                previous: default,
            }));
        }
        if !root && !leads_with(&table, column) {
            self.index(&table, column);
        }
        if !table.policies.iter().any(|policy| policy.name.as_str() == TENANT_POLICY) {
            self.emit(Step::ProtectTable(ProtectTable {
                table: name.clone(),
                column: column.clone(),
                type_name: type_name.clone(),
                app_role: self.wanted.app_role.clone(),
                legacy_roles: Vec::new(),
                enabled: table.row_security,
            }));
        }
        self.emit(Step::CloseTable(CloseTable {
            table: name.clone(),
            column: column.clone(),
            type_name,
            app_role: self.wanted.app_role.clone(),
            legacy_roles: Vec::new(),
            replaced: Vec::new(),
            forced: table.force_row_security,
        }));
        Ok(())
    }

    /// A partition gets the partitioned table's.
    fn index(&mut self, table: &Table, column: &Ident) {
        let above = |parent: &QualifiedName| self.scoped.contains_key(parent);
        if table.parents.iter().any(above) {
            return;
        }
        let key = table.row_key().map(|key| key.columns.as_slice()).unwrap_or_default();
        let rest = key.iter().filter(|part| *part != column);
        self.emit(Step::AddTenantIndex(AddTenantIndex {
            table: table.name.clone(),
            name: Ident::derived(table.name.name.as_str(), "_tenant_idx"),
            columns: std::iter::once(column).chain(rest).cloned().collect(),
            leaves: Vec::new(),
            partitioned: !table.holds_rows(),
        }));
    }

    fn grants(&mut self) {
        for (name, treatment) in self.wanted.tables {
            let privileges = treatment.gives();
            if !privileges.is_empty() {
                self.grant(GrantObject::Table(name.clone()), privileges);
            }
        }
        let feeds = |table: &QualifiedName| {
            let treatment = self.wanted.tables.iter().find(|(name, _)| name == table);
            matches!(treatment, Some((_, Treatment::Scoped { .. })))
        };
        let sequences: Vec<QualifiedName> = self
            .catalog
            .sequences
            .iter()
            .filter(|(_, sequence)| sequence.owned_by.as_ref().is_some_and(|(table, _)| feeds(table)))
            .map(|(name, _)| name.clone())
            .collect();
        for sequence in sequences {
            self.grant(GrantObject::Sequence(sequence), &["USAGE"]);
        }
    }

    /// What the login does not hold yet, and its way into the schema.
    fn grant(&mut self, object: GrantObject, privileges: &[&str]) {
        let (schema, acl) = match &object {
            GrantObject::Schema(schema) => {
                (None, self.catalog.schemas.get(schema).and_then(|s| s.acl.as_ref()))
            }
            GrantObject::Sequence(name) => {
                (Some(&name.schema), self.catalog.sequences.get(name).and_then(|s| s.acl.as_ref()))
            }
            GrantObject::Table(name) => (Some(&name.schema), access::acl(&self.catalog, name)),
        };
        let held = |kind: &str| access::granted(acl, self.wanted.app_role, kind);
        let missing: Vec<String> =
            privileges.iter().filter(|kind| !held(kind)).map(|kind| (*kind).to_owned()).collect();
        if let Some(schema) = schema.cloned() {
            self.grant(GrantObject::Schema(schema), &["USAGE"]);
        }
        if !missing.is_empty() {
            let role = self.wanted.app_role.clone();
            self.emit(Step::GrantApp(GrantApp { object, privileges: missing, role, columns: Vec::new() }));
        }
    }

    /// Copies go to the owner that no policy filters; what reads as whoever asks is the application's when all that it reads is.
    fn views(&mut self) -> Result<(), CannotIsolate> {
        let made: Vec<_> = self
            .catalog
            .views
            .values()
            .filter(|view| self.wanted.made.contains(&view.name))
            .cloned()
            .collect();
        for view in made.iter().filter(|view| view.materialised) {
            let reads = tables_read(&self.catalog, &view.name);
            self.emit(Step::OwnMaterialisedView(OwnMaterialisedView {
                view: view.name.clone(),
                previous_owner: view.owner.clone(),
                reads: reads.into_iter().collect(),
            }));
        }
        let mut open: Vec<_> = made.into_iter().filter(|view| !view.materialised).collect();
        loop {
            let readable = |name: &QualifiedName| {
                access::granted(access::acl(&self.catalog, name), self.wanted.app_role, "SELECT")
            };
            let Some(at) = open.iter().position(|view| view.reads.iter().all(readable)) else {
                return Ok(());
            };
            let view = open.remove(at);
            self.grant(GrantObject::Table(view.name), &["SELECT"]);
        }
    }

    /// They run with their owner's rights, whoever asks.
    fn functions(&mut self) {
        for function in self.catalog.functions.clone() {
            let public = function.acl.is_none() || access::public(function.acl.as_ref());
            if !function.security_definer
                || function.returns_trigger
                || function.extension.is_some()
                || !public
            {
                continue;
            }
            self.emit(Step::RestrictFunction(RestrictFunction {
                function: function.name,
                arguments: function.arguments,
                owner: function.owner,
                roles: Vec::new(),
                previous: function.acl,
            }));
        }
    }
}
