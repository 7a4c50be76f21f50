//! New rows take the tenant of the context.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::context;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTenantDefault {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// Used where there is no context: the one tenant of a new root, until cutover.
    pub constant: Option<String>,
    pub previous: Option<Sql>,
}

/// Of this table alone: rows that come through a partitioned parent take the parent's default, rows written to a
/// partition itself the partition's, and the defaults there were before may differ. Each member gets its own step.
impl SetTenantDefault {
    pub(super) fn subject(&self) -> String {
        let until = if self.constant.is_some() { " (with fallback)" } else { "" };
        format!("{}.{}{until}", self.table, self.column)
    }

    pub(super) fn describe(&self) -> String {
        match &self.constant {
            None => format!("give new rows of {} the tenant of the context", self.table),
            Some(_) => {
                format!("give new rows of {} the tenant of the context, else the one there is", self.table)
            }
        }
    }

    pub(super) fn forward(&self) -> Script {
        let context = context::current_tenant(&self.type_name);
        let default = match &self.constant {
            None => context,
            Some(value) => sql!("COALESCE({}, {}::{})", context, Literal::text(value), self.type_name),
        };
        self.script(sql!("SET DEFAULT {}", default))
    }

    pub(super) fn inverse(&self) -> Script {
        self.script(match &self.previous {
            None => sql!("DROP DEFAULT"),
            Some(expression) => sql!("SET DEFAULT {}", expression),
        })
    }

    fn script(&self, action: Sql) -> Script {
        let alter = sql!("ALTER TABLE ONLY {} ALTER COLUMN {} {}", self.table, self.column, action);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![alter])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let context = context::printed_current_tenant(&self.type_name);
        let default = match &self.constant {
            None => context,
            Some(value) => sql!("COALESCE({}, {}::{})", context, Literal::text(value), self.type_name),
        };
        let columns = catalog.tables.get_mut(&self.table).into_iter().flat_map(|table| &mut table.columns);
        for column in columns.filter(|column| column.name == self.column) {
            column.default = Some(default.clone());
        }
    }
}
