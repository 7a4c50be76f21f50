//! `src/routes/reference.rs`

use crate::driver::{Case, Who};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::of("get_document", Who::Anybody),
        Case::of("get_problem", Who::Anybody).at("code", "not_found", "no_such_code"),
    ]
}
