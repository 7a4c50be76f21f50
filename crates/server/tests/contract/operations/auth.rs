//! `src/routes/auth.rs`

use serde_json::json;

use crate::{
    driver::{Case, Who},
    site::{ADA, PASSWORD},
};

pub(crate) fn cases() -> Vec<Case> {
    let wrong = |body| (body, 401, "invalid_credentials", "");
    let case = Case::of("sign_in", Who::Anybody)
        .sends(json!({ "email": ADA, "password": PASSWORD, "merchant": "lagoon" }));
    let refused = [
        wrong(json!({ "email": ADA, "password": "wrong" })),
        wrong(json!({ "email": ADA, "password": PASSWORD, "merchant": "harbour" })),
        wrong(json!({ "email": "nobody@lagoon.test", "password": PASSWORD })),
        wrong(json!({ "email": "", "password": "" })),
    ];
    vec![
        refused
            .into_iter()
            .fold(case, |case, (body, status, code, pointer)| case.refuses_body(body, status, code, pointer)),
    ]
}
