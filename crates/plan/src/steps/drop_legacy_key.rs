//! A legacy unique or simple foreign key whose tenant-wide successor is in place.

use bastide_catalog::{Catalog, KeyKind};
use bastide_sql::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};
use serde::{Deserialize, Serialize};

use super::{
    add_tenant_foreign_key::absent,
    context::block,
    indexes::{hurried, patient},
    validate_constraint::proven,
};
use crate::Script;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropLegacyKey {
    pub table: QualifiedName,
    pub name: Ident,
    /// Not `kind` in JSON: that is the step's own tag.
    #[serde(rename = "key")]
    pub kind: LegacyKey,
    /// `pg_get_constraintdef` / `pg_get_indexdef`: what the inverse runs.
    pub definition: Sql,
    pub columns: Vec<Ident>,
    /// Of a partitioned table, where nothing can be built CONCURRENTLY or NOT VALID.
    pub partitioned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacyKey {
    UniqueConstraint,
    UniqueIndex,
    ForeignKey { references: QualifiedName, validated: bool },
}

impl DropLegacyKey {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    pub(super) fn describe(&self) -> String {
        format!("drop {} of {}: its successor keeps tenants apart", self.name, self.table)
    }

    /// Before undoing: the groups of rows that the old key could no longer hold, one row each (the values as a row's
    /// text, and how many rows share them). Nothing to ask for a foreign key, which its successor implies.
    #[must_use]
    pub fn restorable_check(&self) -> Option<Sql> {
        if matches!(self.kind, LegacyKey::ForeignKey { .. }) {
            return None;
        }
        let columns = sql!("{}", join(self.columns.iter().map(|column| sql!("t.{}", column)), ", "));
        let given = self.columns.iter().map(|column| sql!("t.{} IS NOT NULL", column));
        let condition = match self.definition.as_str().contains("NULLS NOT DISTINCT") {
            true => sql!("true"),
            false => sql!("{}", join(given, " AND ")),
        };
        Some(sql!(
            "SELECT ROW({})::text, count(*) FROM {} AS t WHERE {} GROUP BY {} HAVING count(*) > 1 LIMIT 100",
            columns,
            self.table,
            condition,
            columns
        ))
    }

    pub(super) fn forward(&self) -> Script {
        let drop = match &self.kind {
            LegacyKey::UniqueIndex => sql!("DROP INDEX {}", self.index()),
            _ => sql!("ALTER TABLE {} DROP CONSTRAINT {}", self.table, self.name),
        };
        Script::transaction(LockMode::AccessExclusive, self.locked(), vec![self.remember(), drop])
    }

    /// Fails, harmlessly, when rows written since collide: see [`Self::restorable_check`].
    pub(super) fn inverse(&self) -> Script {
        let add = sql!("ALTER TABLE {} ADD CONSTRAINT {} {}", self.table, self.name, self.definition);
        let restore = |statements: Vec<Sql>| {
            let statements = statements.into_iter().chain([self.recall()]).collect();
            Script::autocommit(LockMode::ShareRowExclusive, self.locked(), statements)
        };
        match &self.kind {
            LegacyKey::ForeignKey { .. } if self.partitioned => {
                Script::long(LockMode::ShareRowExclusive, self.locked(), vec![add, self.recall()])
            }
            LegacyKey::UniqueConstraint if self.partitioned => {
                Script::long(LockMode::AccessExclusive, self.locked(), vec![add, self.recall()])
            }
            LegacyKey::UniqueIndex if self.partitioned => Script::long(
                LockMode::Share,
                self.locked(),
                vec![whole_tree(&self.definition), self.recall()],
            ),
            LegacyKey::ForeignKey { validated, .. } => {
                let unproven = sql!(
                    "ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID",
                    self.table,
                    self.name,
                    proven(&self.definition)
                );
                let mut statements = vec![absent(&self.table, &self.name, &unproven)];
                if *validated {
                    statements.push(sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.table, self.name));
                }
                restore(statements)
            }
            LegacyKey::UniqueConstraint => restore(vec![
                sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", self.table, self.name),
                sql!("DROP INDEX IF EXISTS {}", self.index()),
                patient(),
                sql!(
                    "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} {}",
                    self.name,
                    self.table,
                    self.index_columns()
                ),
                hurried(),
                sql!(
                    "ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}{}",
                    self.table,
                    self.name,
                    self.name,
                    self.deferral()
                ),
            ]),
            LegacyKey::UniqueIndex => restore(vec![
                sql!("DROP INDEX IF EXISTS {}", self.index()),
                patient(),
                concurrently(&self.definition),
                hurried(),
            ]),
        }
    }

    fn index(&self) -> QualifiedName {
        QualifiedName::new(self.table.schema.clone(), self.name.clone())
    }

    fn locked(&self) -> Vec<QualifiedName> {
        match &self.kind {
            LegacyKey::ForeignKey { references, .. } if *references != self.table => {
                vec![self.table.clone(), references.clone()]
            }
            _ => vec![self.table.clone()],
        }
    }

    /// Columns, INCLUDE and NULLS NOT DISTINCT of `pg_get_constraintdef`, in the order CREATE INDEX wants them.
    fn index_columns(&self) -> Sql {
        let definition = self.definition.as_str();
        let nulls = if definition.starts_with("UNIQUE NULLS NOT DISTINCT") {
            sql!(" NULLS NOT DISTINCT")
        } else {
            sql!("")
        };
        let lists = outer_lists(definition);
        let include = match lists.get(1) {
            Some(list) => sql!(" INCLUDE ({})", Sql::trusted(*list)),
            None => sql!(""),
        };
        sql!("({}){}{}", join(&self.columns, ", "), include, nulls)
    }

    fn deferral(&self) -> Sql {
        let definition = self.definition.as_str();
        if definition.ends_with(" DEFERRABLE INITIALLY DEFERRED") {
            sql!(" DEFERRABLE INITIALLY DEFERRED")
        } else if definition.ends_with(" DEFERRABLE") {
            sql!(" DEFERRABLE")
        } else {
            sql!("")
        }
    }

    /// Notes, at the last moment, what the definition leaves out: comments, storage, CLUSTER, REPLICA IDENTITY.
    fn remember(&self) -> Sql {
        let account = Literal::text(self.account());
        match &self.kind {
            LegacyKey::ForeignKey { .. } => sql!(
                "INSERT INTO bastide.remembered (step, detail)
SELECT {}, jsonb_build_object('comment', obj_description(oid, 'pg_constraint'))
FROM pg_constraint WHERE conrelid = {}::regclass AND conname = {}
ON CONFLICT (step) DO UPDATE SET detail = excluded.detail",
                account,
                Literal::text(sql!("{}", self.table).as_str()),
                Literal::text(self.name.as_str())
            ),
            _ => sql!(
                "INSERT INTO bastide.remembered (step, detail)
SELECT {}, jsonb_build_object('comment', obj_description(k.oid, 'pg_constraint'), 'index_comment', obj_description(c.oid, 'pg_class'),
    'options', array_to_string(c.reloptions, ', '), 'tablespace', s.spcname, 'cluster', i.indisclustered, 'replica', i.indisreplident)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype = 'u'
WHERE c.oid = {}::regclass
ON CONFLICT (step) DO UPDATE SET detail = excluded.detail",
                account,
                Literal::text(sql!("{}", self.index()).as_str())
            ),
        }
    }

    fn recall(&self) -> Sql {
        let comment = sql!(
            "    IF known->>'comment' IS NOT NULL THEN
        EXECUTE format('COMMENT ON CONSTRAINT %s ON %s IS %L', {}, {}, known->>'comment');
    END IF;
",
            Literal::text(sql!("{}", self.name).as_str()),
            Literal::text(sql!("{}", self.table).as_str())
        );
        let index = Literal::text(sql!("{}", self.index()).as_str());
        let rest = match &self.kind {
            LegacyKey::ForeignKey { .. } => sql!(""),
            _ => sql!(
                "    IF known->>'index_comment' IS NOT NULL THEN
        EXECUTE format('COMMENT ON INDEX %s IS %L', {}, known->>'index_comment');
    END IF;
    IF known->>'options' IS NOT NULL THEN
        EXECUTE format('ALTER INDEX %s SET (%s)', {}, known->>'options');
    END IF;
    IF known->>'tablespace' IS NOT NULL THEN
        EXECUTE format('ALTER INDEX %s SET TABLESPACE %I', {}, known->>'tablespace');
    END IF;
    IF (known->>'cluster')::boolean THEN
        ALTER TABLE {} CLUSTER ON {};
    END IF;
    IF (known->>'replica')::boolean THEN
        ALTER TABLE {} REPLICA IDENTITY USING INDEX {};
    END IF;
",
                index,
                index,
                index,
                self.table,
                self.name,
                self.table,
                self.name
            ),
        };
        block(sql!(
            "DECLARE
    known jsonb := (SELECT detail FROM bastide.remembered WHERE step = {});
BEGIN
{}{}END",
            Literal::text(self.account()),
            comment,
            rest
        ))
    }

    fn account(&self) -> String {
        format!("drop_legacy_key:{}", self.subject())
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        for member in super::family::family(catalog, &self.table) {
            let Some(table) = catalog.tables.get_mut(&member) else { continue };
            let own = member == self.table;
            match &self.kind {
                LegacyKey::ForeignKey { references, .. } => table.foreign_keys.retain(|key| {
                    let copy =
                        key.inherited && key.references == *references && key.definition == self.definition;
                    if own { key.name != self.name } else { !(self.partitioned && copy) }
                }),
                _ => table.keys.retain(|key| {
                    // A partition's copy has a name of its own.
                    let copy = self.partitioned && key.kind != KeyKind::Primary && key.columns == self.columns;
                    if own { key.name != self.name } else { !copy }
                }),
            }
        }
    }
}

fn concurrently(definition: &Sql) -> Sql {
    let text = definition.as_str();
    match text.strip_prefix("CREATE UNIQUE INDEX ") {
        Some(rest) => sql!("CREATE UNIQUE INDEX CONCURRENTLY {}", Sql::trusted(rest)),
        None => definition.clone(),
    }
}

/// `pg_get_indexdef` prints ON ONLY for a partitioned table, which would leave its leaves without one.
fn whole_tree(definition: &Sql) -> Sql {
    Sql::trusted(definition.as_str().replacen(" ON ONLY ", " ON ", 1))
}

/// What stands in each outermost pair of parentheses, quoted names respected.
fn outer_lists(text: &str) -> Vec<&str> {
    let (mut lists, mut depth, mut quoted, mut from) = (Vec::new(), 0_u32, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => {
                depth += 1;
                if depth == 1 {
                    from = at + 1;
                }
            }
            ')' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    lists.push(&text[from..at]);
                }
            }
            _ => {}
        }
    }
    lists
}

#[cfg(test)]
mod tests;
