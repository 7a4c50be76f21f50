//! Until cutover, rows that legacy statements write get their tenant from the rows they reference.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, Table, TableKind, Trigger, TriggerEnabled, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{
    context::{self, DollarQuoted, Plain},
    family::family,
    readers,
};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepLegacyWrites {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// A legacy column: what a legacy statement writes there itself is never overridden.
    pub reused: bool,
    /// Foreign keys to scoped tables, any of which may say whose the row is.
    pub parents: Vec<TenantSource>,
    /// Receives what no parent settles; `None`: such a row keeps NULL until cutover.
    pub quarantine: Option<String>,
}

/// A reference that a row can learn its tenant from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSource {
    pub columns: Vec<Ident>,
    pub parent: QualifiedName,
    pub parent_columns: Vec<Ident>,
    pub parent_tenant: Ident,
    /// What the parent's columns are compared by, where it is not plain to the server which of two it should be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub collations: BTreeMap<Ident, QualifiedName>,
}

impl KeepLegacyWrites {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("give rows that legacy statements write to {} their tenant", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let (function, owner) = (self.function(), context::bastide_owner());
        let mut statements = readers::grant(&self.account(), &self.reads());
        statements.extend([
            sql!(
                "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {}",
                function,
                DollarQuoted(self.body())
            ),
            sql!("ALTER FUNCTION {}() OWNER TO {}", function, owner),
            sql!("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC", function),
            sql!(
                "CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
                trigger(),
                self.table,
                function
            ),
        ]);
        Script::transaction(LockMode::ShareRowExclusive, vec![self.table.clone()], statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let mut statements = vec![
            sql!("DROP TRIGGER {} ON {}", trigger(), self.table),
            sql!("DROP FUNCTION {}()", self.function()),
        ];
        statements.extend(readers::release(&self.account(), &self.reads()));
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    /// The table's name as people write it, quotes and all: two tables cannot come to share one function.
    fn function(&self) -> QualifiedName {
        QualifiedName::new(
            Ident::constant("bastide"),
            Ident::derived(&self.table.to_string(), ".keep_tenant"),
        )
    }

    fn account(&self) -> String {
        format!("keep_legacy_writes:{}", self.table)
    }

    /// What the trigger looks up.
    pub(crate) fn reads(&self) -> Vec<QualifiedName> {
        let mut reads: Vec<QualifiedName> = Vec::new();
        for source in &self.parents {
            if !reads.contains(&source.parent) {
                reads.push(source.parent.clone());
            }
        }
        reads
    }

    /// What the trigger does, in the order of its questions. It runs as `bastide_owner`, whom no policy filters, and
    /// gives nothing away: an error names the table, never a value.
    fn body(&self) -> Sql {
        let column = &self.column;
        let open = context::open_type(&self.type_name);
        let quarantine = match &self.quarantine {
            Some(tenant) => sql!("{}::{}", Literal::text(tenant), open),
            None => sql!("NULL"),
        };
        sql!(
            "
DECLARE
    context {} := {};
    parent {};
    derived {};
    unknown boolean := false;
    conflict boolean := false;
BEGIN
    -- It has a tenant, and nothing that says whose it is has changed.
    IF NEW.{} IS NOT NULL AND {} THEN
        RETURN NEW;
    END IF;
{}    IF context IS NOT NULL THEN
        NEW.{} := COALESCE(NEW.{}, context);
    ELSIF conflict THEN
        -- Of a row that was there before the run, inference decides.
        IF TG_OP = 'INSERT' OR OLD.{} IS NOT NULL THEN
            NEW.{} := {};
        END IF;
    ELSIF unknown THEN
        -- A parent has no tenant yet: this row gets its own in the same pass.
        NEW.{} := NULL;
    ELSIF derived IS NOT NULL THEN
        NEW.{} := derived;
    ELSIF TG_OP = 'INSERT' THEN
        NEW.{} := {};
    END IF;
    RETURN NEW;
END
",
            open,
            context::current_tenant(&self.type_name),
            open,
            open,
            column,
            self.settled(),
            join(self.parents.iter().map(|source| self.ask(source)), ""),
            column,
            column,
            column,
            column,
            quarantine,
            column,
            column,
            column,
            quarantine
        )
    }

    /// When a filled tenant column is left alone. In an added column only we write, so a changed reference is asked about
    /// again; in a legacy column the legacy statement's own word stands.
    fn settled(&self) -> Sql {
        let mut references: Vec<&Ident> = Vec::new();
        for column in self.parents.iter().flat_map(|source| &source.columns) {
            if *column != self.column && !references.contains(&column) {
                references.push(column);
            }
        }
        let legacy =
            if self.reused { sql!("context IS NULL") } else { sql!("TG_OP = 'INSERT' AND context IS NULL") };
        if references.is_empty() {
            return sql!("(TG_OP = 'UPDATE' OR {})", legacy);
        }
        sql!(
            "({} OR TG_OP = 'UPDATE' AND ROW({}) IS NOT DISTINCT FROM ROW({}))",
            legacy,
            join(references.iter().map(|name| sql!("NEW.{}", name)), ", "),
            join(references.iter().map(|name| sql!("OLD.{}", name)), ", ")
        )
    }

    fn ask(&self, source: &TenantSource) -> Sql {
        let given = source.columns.iter().map(|name| sql!("NEW.{} IS NOT NULL", name));
        let pairs = source.columns.iter().zip(&source.parent_columns);
        let matches = pairs.map(|(own, parent)| match source.collations.get(parent) {
            Some(collation) => sql!("p.{} = NEW.{} COLLATE {}", parent, own, collation),
            None => sql!("p.{} = NEW.{}", parent, own),
        });
        sql!(
            "    IF {} THEN
        SELECT p.{} INTO parent FROM {} AS p WHERE {} LIMIT 1;
        IF FOUND THEN
            IF context IS NOT NULL AND parent IS DISTINCT FROM COALESCE(NEW.{}, context) THEN
                RAISE foreign_key_violation USING MESSAGE = {}, SCHEMA = {}, TABLE = {};
            END IF;
            unknown := unknown OR parent IS NULL;
            conflict := conflict OR COALESCE(parent <> derived, false);
            derived := COALESCE(derived, parent);
        END IF;
    END IF;
",
            join(given, " AND "),
            source.parent_tenant,
            source.parent,
            join(matches, " AND "),
            self.column,
            Literal::text(format!(
                "a row of {} cannot refer to a row of {} that is not its own tenant's",
                self.table, source.parent
            )),
            Literal::text(self.table.schema.as_str()),
            Literal::text(self.table.name.as_str())
        )
    }

    /// A partitioned table's trigger is cloned to its partitions; inheritance hands nothing down.
    fn bearers(&self, catalog: &Catalog) -> Vec<QualifiedName> {
        let partitioned = |table: &Table| table.kind == TableKind::Partitioned;
        if catalog.table(&self.table).is_some_and(partitioned) {
            family(catalog, &self.table)
        } else {
            vec![self.table.clone()]
        }
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        readers::apply(catalog, &self.reads());
        for bearer in self.bearers(catalog) {
            let Some(table) = catalog.tables.get_mut(&bearer) else { continue };
            table.triggers.push(Trigger {
                name: trigger(),
                function: self.function(),
                on_insert: true,
                on_update: true,
                on_delete: false,
                on_truncate: false,
                before: true,
                for_each_row: true,
                enabled: TriggerEnabled::Origin,
                definition: sql!(
                    "CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
                    Plain(&trigger()),
                    Plain(&bearer),
                    Plain(&self.function())
                ),
            });
            table.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    /// Projects the inverse, where other keepers still look up `still_read`.
    pub(super) fn unapply(&self, catalog: &mut Catalog, still_read: &BTreeSet<QualifiedName>) {
        for bearer in self.bearers(catalog) {
            if let Some(table) = catalog.tables.get_mut(&bearer) {
                table.triggers.retain(|found| found.name != trigger());
            }
        }
        readers::unapply(catalog, &self.reads(), still_read);
    }
}

/// Triggers fire in the order of their names; `~` comes after every letter.
fn trigger() -> Ident {
    Ident::constant("~bastide_tenant")
}

#[cfg(test)]
mod tests;
