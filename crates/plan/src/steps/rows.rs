//! The scripts of steps that find rows and change them, whichever rows there are when they run; and put them back.

use bastide_sql::{LockMode, QualifiedName, Sql, sql};

use crate::{Script, inference};

/// Only the rows that change are locked, and a chunk at a time.
pub(super) fn change(tables: &[QualifiedName], script: &[Sql]) -> Script {
    Script::autocommit(LockMode::RowExclusive, tables.to_vec(), script.to_vec())
}

/// Others may read meanwhile, nobody may write: a row written in between might refer to what goes. Triggers stay asleep: they
/// would note rows that come back as new.
pub(super) fn put_back(tables: &[QualifiedName], restore: &[Sql]) -> Script {
    let mut prelude = inference::prelude();
    prelude.push(sql!("SET LOCAL session_replication_role = replica"));
    Script { prelude, ..Script::transaction(LockMode::ShareRowExclusive, tables.to_vec(), restore.to_vec()) }
}
