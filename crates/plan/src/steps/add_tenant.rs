//! A row of the root that the plan makes; user triggers do not fire for it.

use bastide_catalog::{Catalog, TypeName};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{context::block, session};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddTenant {
    pub root: QualifiedName,
    pub key: Ident,
    pub key_type: TypeName,
    pub id: String,
    /// Every other column that must be given, as text to be cast to its type.
    pub values: Vec<(Ident, TypeName, String)>,
    pub quarantine: bool,
}

impl AddTenant {
    pub(super) fn subject(&self) -> String {
        if self.quarantine { "quarantine".to_owned() } else { self.id.clone() }
    }

    pub(super) fn describe(&self) -> String {
        if self.quarantine {
            format!("add the quarantine tenant {} to {}", self.id, self.root)
        } else {
            format!("add tenant {} to {}", self.id, self.root)
        }
    }

    pub(super) fn forward(&self) -> Script {
        let value = |text: &str, type_name: &TypeName| sql!("{}::{}", Literal::text(text), type_name);
        let mut columns = vec![self.key.clone()];
        let mut values = vec![value(&self.id, &self.key_type)];
        for (column, type_name, text) in &self.values {
            columns.push(column.clone());
            values.push(value(text, type_name));
        }
        // The key may be GENERATED ALWAYS AS IDENTITY.
        let insert = sql!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
            self.root,
            join(columns, ", "),
            join(values, ", ")
        );
        Script {
            prelude: session::silent(),
            ..Script::transaction(LockMode::RowExclusive, vec![self.root.clone()], vec![insert])
        }
    }

    /// Legacy rows that the keeper gave this tenant (in a column that was there before) get their NULL back first. With
    /// triggers asleep nothing cascades; a row that must keep the reference stops the undoing instead of dangling.
    pub(super) fn inverse(&self) -> Script {
        let release: Sql = block(sql!(
            "DECLARE
    link record;
BEGIN
    FOR link IN
        SELECT c.conrelid::regclass AS child, a.attname AS column_name, a.attnotnull AS must, format_type(a.atttypid, NULL) AS type_name
        FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        JOIN pg_attribute k ON k.attrelid = c.confrelid AND k.attnum = c.confkey[1]
        WHERE c.contype = 'f' AND c.confrelid = {}::regclass AND cardinality(c.conkey) = 1 AND k.attname = {} AND c.conparentid = 0
    LOOP
        IF NOT link.must THEN
            EXECUTE format('UPDATE %s SET %I = NULL WHERE %I = %L::%s', link.child, link.column_name, link.column_name, {}, link.type_name);
            CONTINUE;
        END IF;
        EXECUTE format('DO %L', format('BEGIN IF EXISTS (SELECT FROM %s WHERE %I = %L::%s) THEN RAISE foreign_key_violation USING MESSAGE = %L; END IF; END',
            link.child, link.column_name, {}, link.type_name, format('rows of %s still belong to the tenant that is to go', link.child)));
    END LOOP;
END",
            Literal::text(sql!("{}", self.root).as_str()),
            Literal::text(self.key.as_str()),
            Literal::text(&self.id),
            Literal::text(&self.id)
        ));
        let delete = sql!(
            "DELETE FROM {} WHERE {} = {}::{}",
            self.root,
            self.key,
            Literal::text(&self.id),
            self.key_type
        );
        Script {
            prelude: session::silent(),
            ..Script::long(LockMode::RowExclusive, vec![self.root.clone()], vec![release, delete])
        }
    }

    /// Rows are not part of a snapshot.
    pub(super) fn apply(&self, _: &mut Catalog) {}
}
