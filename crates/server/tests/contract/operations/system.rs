//! `src/routes/system.rs`

use crate::driver::{Case, Who};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::of("check_health", Who::Anybody), Case::of("check_readiness", Who::Anybody)]
}
