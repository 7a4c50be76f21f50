//! `src/routes/operations.rs`

use crate::driver::{Case, Who};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::of("get_isolation", Who::Operator), Case::of("get_metrics", Who::Operator)]
}
