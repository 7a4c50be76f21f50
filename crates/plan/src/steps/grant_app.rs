//! What the application's login may do with one object.

use bastide_catalog::Catalog;
use bastide_sql::{Ident, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::acl;
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantApp {
    pub object: GrantObject,
    /// SELECT, INSERT, …
    pub privileges: Vec<String>,
    pub role: Ident,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantObject {
    Schema(Ident),
    Table(QualifiedName),
    Sequence(QualifiedName),
}

/// `privileges` are those the role does not hold yet: undoing takes back every one of them.
impl GrantApp {
    pub(super) fn subject(&self) -> String {
        match &self.object {
            GrantObject::Schema(schema) => format!("schema {schema}"),
            GrantObject::Table(table) => table.to_string(),
            GrantObject::Sequence(sequence) => format!("sequence {sequence}"),
        }
    }

    pub(super) fn describe(&self) -> String {
        format!("grant {} on {} to {}", self.privileges.join(", "), self.subject(), self.role)
    }

    pub(super) fn forward(&self) -> Script {
        Script::unlocked(vec![sql!(
            "GRANT {} ON {} TO {}",
            acl::keywords(&self.privileges),
            self.object(),
            self.role
        )])
    }

    pub(super) fn inverse(&self) -> Script {
        Script::unlocked(vec![sql!(
            "REVOKE {} ON {} FROM {}",
            acl::keywords(&self.privileges),
            self.object(),
            self.role
        )])
    }

    fn object(&self) -> Sql {
        match &self.object {
            GrantObject::Schema(schema) => sql!("SCHEMA {}", schema),
            GrantObject::Table(table) => sql!("TABLE {}", table),
            GrantObject::Sequence(sequence) => sql!("SEQUENCE {}", sequence),
        }
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let version = catalog.server.version;
        let (owner, list, defaults) = match &self.object {
            GrantObject::Schema(name) => {
                let Some(schema) = catalog.schemas.get_mut(name) else { return };
                (schema.owner.clone(), &mut schema.acl, acl::schema_defaults(&schema.owner))
            }
            GrantObject::Sequence(name) => {
                let Some(sequence) = catalog.sequences.get_mut(name) else { return };
                (sequence.owner.clone(), &mut sequence.acl, acl::sequence_defaults(&sequence.owner))
            }
            GrantObject::Table(name) => {
                let (owner, list) = if let Some(table) = catalog.tables.get_mut(name) {
                    (table.owner.clone(), &mut table.acl)
                } else if let Some(view) = catalog.views.get_mut(name) {
                    (view.owner.clone(), &mut view.acl)
                } else {
                    return;
                };
                let defaults = acl::table_defaults(&owner, version);
                (owner, list, defaults)
            }
        };
        acl::granted(list.get_or_insert(defaults), &owner, &self.role, &self.privileges);
    }
}
