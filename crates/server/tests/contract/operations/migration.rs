//! `src/routes/migration.rs`

use crate::driver::{Case, Who};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::of("get_migration_status", Who::Anybody), Case::of("watch_migration_status", Who::Anybody)]
}
