//! The tenant column, added without a scan or a rewrite.

use bastide_catalog::{Catalog, Column, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, sql};
use serde::{Deserialize, Serialize};

use super::family::each_member;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenantColumn {
    pub table: QualifiedName,
    pub column: Ident,
    pub type_name: TypeName,
    /// NOT NULL DEFAULT this, which PostgreSQL keeps once for all rows there are.
    pub constant: Option<String>,
}

impl AddTenantColumn {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    pub(super) fn describe(&self) -> String {
        format!("add column {} to {}", self.column, self.table)
    }

    pub(super) fn forward(&self) -> Script {
        let add = match &self.constant {
            None => sql!("ALTER TABLE {} ADD COLUMN {} {}", self.table, self.column, self.type_name),
            Some(value) => sql!(
                "ALTER TABLE {} ADD COLUMN {} {} DEFAULT {}::{} NOT NULL",
                self.table,
                self.column,
                self.type_name,
                Literal::text(value),
                self.type_name
            ),
        };
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![add])
    }

    pub(super) fn inverse(&self) -> Script {
        let drop = sql!("ALTER TABLE {} DROP COLUMN {}", self.table, self.column);
        Script::transaction(LockMode::AccessExclusive, vec![self.table.clone()], vec![drop])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let default = self.constant.as_ref().map(|value| sql!("{}::{}", Literal::text(value), self.type_name));
        each_member(catalog, &self.table, |table, local| {
            table.columns.push(Column {
                name: self.column.clone(),
                type_name: self.type_name.clone(),
                not_null: self.constant.is_some(),
                default: default.clone(),
                generated: None,
                identity: None,
                local,
                acl: None,
            });
        });
    }
}
