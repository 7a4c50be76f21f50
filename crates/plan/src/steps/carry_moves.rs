//! Until cutover, a row that legacy statements move to another tenant takes along the rows below it, as `ON UPDATE CASCADE`
//! of the composite keys would, which are not there yet.

use std::collections::BTreeSet;

use bastide_catalog::{Acl, Catalog, Table, TableKind, Trigger, TriggerEnabled, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{
    TenantSource, acl,
    context::{self, DollarQuoted, Plain},
    family::family,
    readers,
};
use crate::Script;

/// So deep does it go at once. Each level is a call inside a call: without an end the server's stack would be it, and the
/// legacy statement would fail. What is deeper still is settled at cutover.
const DEPTH: i64 = 50;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryMoves {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    pub below: Vec<Below>,
    /// Receives rows below whose parents are two tenants' now; `None`: they stay whose they are.
    pub quarantine: Option<String>,
}

/// A table whose rows reference rows of the moved one's table, and whose tenant column is Bastide's own: what a legacy
/// statement wrote into a legacy column stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Below {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// All that its rows learn their tenant from; what leads to the moved row is among it.
    pub sources: Vec<TenantSource>,
}

impl CarryMoves {
    pub(super) fn subject(&self) -> String {
        self.table.to_string()
    }

    pub(super) fn describe(&self) -> String {
        format!("let rows below one of {} that moves to another tenant follow it", self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let (function, owner) = (self.function(), context::bastide_owner());
        let mut statements = readers::grant(&self.account(), &self.reads());
        statements.extend(readers::grant(&self.writer(), &self.writes()));
        statements.extend(self.below.iter().map(|below| {
            context::block(sql!(
                "BEGIN IF {} THEN GRANT UPDATE ({}) ON TABLE {} TO {}; END IF; END",
                readers::foreign(&below.table),
                below.column,
                below.table,
                owner
            ))
        }));
        statements.extend([
            sql!("GRANT SET ON PARAMETER session_replication_role TO {}", owner),
            sql!(
                "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {}",
                function,
                DollarQuoted(self.body())
            ),
            sql!("ALTER FUNCTION {}() OWNER TO {}", function, owner),
            sql!("REVOKE EXECUTE ON FUNCTION {}() FROM PUBLIC", function),
            sql!(
                "CREATE TRIGGER {} AFTER UPDATE ON {} FOR EACH ROW WHEN (OLD.{} IS DISTINCT FROM NEW.{} AND NEW.{} IS NOT NULL AND (current_setting('session_replication_role') <> 'replica' OR current_setting('bastide.carrying', true) = 'on')) EXECUTE FUNCTION {}()",
                trigger(),
                self.table,
                self.column,
                self.column,
                self.column,
                function
            ),
            // It wakes itself while the triggers of the legacy schema sleep.
            sql!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", self.table, trigger()),
        ]);
        Script::transaction(LockMode::ShareRowExclusive, vec![self.table.clone()], statements)
    }

    pub(super) fn inverse(&self) -> Script {
        let owner = context::bastide_owner();
        let mut statements = vec![
            sql!("DROP TRIGGER {} ON {}", trigger(), self.table),
            sql!("DROP FUNCTION {}()", self.function()),
        ];
        statements.extend(readers::release(&self.writer(), &self.writes()));
        statements.extend(self.below.iter().map(|below| {
            context::block(sql!(
                "BEGIN IF {} AND NOT EXISTS (SELECT FROM bastide.reader WHERE starts_with(step, 'carry_into:') AND relation = {}) THEN REVOKE UPDATE ({}) ON TABLE {} FROM {}; END IF; END",
                readers::foreign(&below.table),
                readers::name(&below.table),
                below.column,
                below.table,
                owner
            ))
        }));
        statements.extend(readers::release(&self.account(), &self.reads()));
        statements.push(context::block(sql!(
            "BEGIN IF NOT EXISTS (SELECT FROM bastide.reader WHERE starts_with(step, 'carry_into:')) THEN REVOKE SET ON PARAMETER session_replication_role FROM {}; END IF; END",
            owner
        )));
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], statements)
    }

    fn function(&self) -> QualifiedName {
        QualifiedName::new(
            Ident::constant("bastide"),
            Ident::derived(&self.table.to_string(), ".carry_moves"),
        )
    }

    fn account(&self) -> String {
        format!("carry_moves:{}", self.table)
    }

    /// Remembers whom `bastide_owner` may write to on this step's account.
    fn writer(&self) -> String {
        format!("carry_into:{}", self.table)
    }

    /// What the trigger looks up.
    pub(crate) fn reads(&self) -> Vec<QualifiedName> {
        let parents = self.below.iter().flat_map(|below| &below.sources).map(|source| &source.parent);
        let tables: BTreeSet<&QualifiedName> =
            parents.chain(self.below.iter().map(|below| &below.table)).collect();
        tables.into_iter().cloned().collect()
    }

    pub(crate) fn writes(&self) -> Vec<QualifiedName> {
        self.below.iter().map(|below| below.table.clone()).collect()
    }

    /// It runs as `bastide_owner`, whom no policy filters. Where another database's rollback took the parameter from that
    /// role, nothing is carried and nothing fails.
    fn body(&self) -> Sql {
        let below = self.below.iter().flat_map(|below| {
            let leads = below.sources.iter().filter(|source| source.parent == self.table);
            leads.map(|source| self.carry(below, source))
        });
        sql!(
            "
DECLARE
    role text := current_setting('session_replication_role');
    carrying text := COALESCE(current_setting('bastide.carrying', true), '');
BEGIN
    IF pg_trigger_depth() > {} OR NOT has_parameter_privilege('session_replication_role', 'SET') THEN
        RETURN NULL;
    END IF;
    -- The row below is not what the legacy statement wrote: no trigger of the legacy schema may react to it, and no
    -- constraint that the row does not meet as it is may fail the statement.
    BEGIN
        PERFORM set_config('session_replication_role', 'replica', true), set_config('bastide.carrying', 'on', true);
{}        PERFORM set_config('session_replication_role', role, true), set_config('bastide.carrying', carrying, true);
    EXCEPTION WHEN integrity_constraint_violation OR insufficient_privilege THEN
        NULL;
    END;
    RETURN NULL;
END
",
            DEPTH,
            join(below, "")
        )
    }

    /// Only rows that were the moved row's tenant's, or nobody's for sure: all their parents are asked again.
    fn carry(&self, below: &Below, source: &TenantSource) -> Sql {
        let kind = context::open_type(&below.type_name);
        let moved = sql!("NEW");
        let matches = source.columns.iter().zip(&source.parent_columns).map(|(own, parent)| {
            let compared = collated(source, parent);
            sql!("c.{} = {}.{}{}", own, moved, parent, compared)
        });
        let (quarantine, unsettled) = match &self.quarantine {
            Some(tenant) => {
                let tenant = sql!("{}::{}", Literal::text(tenant), kind);
                (tenant.clone(), sql!(" OR c.{} = {}", below.column, tenant))
            }
            None => (sql!("c.{}", below.column), sql!("")),
        };
        let asked = below.sources.iter().map(|source| ask(source, &kind));
        sql!(
            "        UPDATE {} AS c SET {} = COALESCE((
            SELECT CASE WHEN count(DISTINCT x.tenant) > 1 THEN {} ELSE (array_agg(x.tenant) FILTER (WHERE x.tenant IS NOT NULL))[1] END
            FROM (VALUES {}) AS x (tenant)), c.{})
        WHERE {} AND c.{} IS DISTINCT FROM NEW.{}::{} AND (c.{} IS NULL OR c.{} = OLD.{}::{}{});
",
            below.table,
            below.column,
            quarantine,
            join(asked, ", "),
            below.column,
            join(matches, " AND "),
            below.column,
            self.column,
            kind,
            below.column,
            below.column,
            self.column,
            kind,
            unsettled
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
        for below in &self.below {
            if let Some((owner, list)) = column_list(catalog, below) {
                acl::granted(
                    list.get_or_insert_with(Acl::new),
                    &owner,
                    &context::bastide_owner(),
                    &["UPDATE"],
                );
            }
        }
        let changed = self.printed_condition();
        for bearer in self.bearers(catalog) {
            let Some(table) = catalog.tables.get_mut(&bearer) else { continue };
            table.triggers.push(Trigger {
                name: trigger(),
                function: self.function(),
                on_insert: false,
                on_update: true,
                on_delete: false,
                on_truncate: false,
                before: false,
                for_each_row: true,
                enabled: TriggerEnabled::Always,
                definition: sql!(
                    "CREATE TRIGGER {} AFTER UPDATE ON {} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION {}()",
                    Plain(&trigger()),
                    Plain(&bearer),
                    changed,
                    Plain(&self.function())
                ),
            });
            table.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    fn printed_condition(&self) -> Sql {
        let column = Plain(&self.column);
        // varchar has no operators of its own: both sides are read as text.
        let changed = match context::open_type(&self.type_name).as_str() {
            "character varying" => sql!("((old.{})::text IS DISTINCT FROM (new.{})::text)", column, column),
            _ => sql!("(old.{} IS DISTINCT FROM new.{})", column, column),
        };
        sql!(
            "({} AND (new.{} IS NOT NULL) AND ((current_setting('session_replication_role'::text) <> 'replica'::text) OR (current_setting('bastide.carrying'::text, true) = 'on'::text)))",
            changed,
            column
        )
    }

    /// Projects the inverse, where others still look up `still_read` and write to `still_written`.
    pub(super) fn unapply(
        &self,
        catalog: &mut Catalog,
        still_read: &BTreeSet<QualifiedName>,
        still_written: &BTreeSet<QualifiedName>,
    ) {
        for bearer in self.bearers(catalog) {
            if let Some(table) = catalog.tables.get_mut(&bearer) {
                table.triggers.retain(|found| found.name != trigger());
            }
        }
        for below in self.below.iter().filter(|below| !still_written.contains(&below.table)) {
            if let Some((owner, list)) = column_list(catalog, below) {
                if let Some(acl) = list {
                    acl::revoked(acl, &owner, &context::bastide_owner(), "UPDATE");
                }
                acl::forget_defaults(list, &Acl::new());
            }
        }
        readers::unapply(catalog, &self.reads(), still_read);
    }
}

fn ask(source: &TenantSource, kind: &TypeName) -> Sql {
    let matches = source.columns.iter().zip(&source.parent_columns).map(|(own, parent)| {
        let compared = collated(source, parent);
        sql!("p.{} = c.{}{}", parent, own, compared)
    });
    sql!(
        "((SELECT p.{}::{} FROM {} AS p WHERE {} LIMIT 1))",
        source.parent_tenant,
        kind,
        source.parent,
        join(matches, " AND ")
    )
}

fn collated(source: &TenantSource, parent: &Ident) -> Sql {
    source.collations.get(parent).map_or_else(|| sql!(""), |collation| sql!(" COLLATE {}", collation))
}

fn column_list<'a>(catalog: &'a mut Catalog, below: &Below) -> Option<(Ident, &'a mut Option<Acl>)> {
    let table = catalog.tables.get_mut(&below.table)?;
    let owner = table.owner.clone();
    let column = table.columns.iter_mut().find(|column| column.name == below.column)?;
    Some((owner, &mut column.acl))
}

/// `!` comes before every letter: cutover's composite keys, whose own triggers say so at once, must find the rows below
/// moved already.
fn trigger() -> Ident {
    Ident::constant("!bastide_moves")
}

#[cfg(test)]
mod tests;
