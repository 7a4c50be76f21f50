//! `src/routes/auth.rs`

use serde_json::json;

use crate::{
    driver::{Case, Who},
    site::{ADA, PASSWORD},
};

/// A session of Ada's, with a refresh token that was not used yet.
const SESSION: &str = "DELETE FROM bastide.session WHERE id = '77777777-0000-4000-8000-000000000007';
    INSERT INTO bastide.session (id, user_id, address, agent, expires_at)
        VALUES ('77777777-0000-4000-8000-000000000007', '11111111-0000-4000-8000-000000000001', '', '', now() + interval '1 day');
    INSERT INTO bastide.refresh_token (hash, session_id)
        VALUES (encode(sha256('rt_of_a_case'), 'hex'), '77777777-0000-4000-8000-000000000007')";

pub(crate) fn cases() -> Vec<Case> {
    let wrong = |body| (body, 401, "invalid_credentials", "");
    let case = Case::of("sign_in", Who::Anybody)
        .sends(json!({ "email": ADA, "password": PASSWORD, "merchant": "lagoon" }));
    let refused = [
        wrong(json!({ "email": ADA, "password": "wrong" })),
        wrong(json!({ "email": ADA, "password": PASSWORD, "merchant": "harbour" })),
        wrong(json!({ "email": "nobody@lagoon.test", "password": PASSWORD })),
        wrong(json!({ "email": "", "password": "" })),
        (json!({ "email": ADA, "password": PASSWORD, "cookies": true }), 403, "cross_site", ""),
    ];
    let token = json!({ "refresh_token": "rt_of_a_case" });
    vec![
        refused
            .into_iter()
            .fold(case, |case, (body, status, code, pointer)| case.refuses_body(body, status, code, pointer)),
        Case { prepare: SESSION, ..Case::of("refresh_session", Who::Anybody) }
            .sends(token.clone())
            .refuses_body(json!({}), 401, "unauthenticated", "")
            .refuses_body(json!({ "refresh_token": "rt_of_nobody" }), 401, "invalid_token", ""),
        Case { prepare: SESSION, ..Case::of("sign_out", Who::Anybody) }.sends(token).refuses_body(
            json!({}),
            401,
            "unauthenticated",
            "",
        ),
        Case::of("get_session", Who::SignedIn),
        Case::of("list_sessions", Who::SignedIn),
        Case { prepare: SESSION, ..Case::of("revoke_session", Who::SignedIn) }.at(
            "session",
            "77777777-0000-4000-8000-000000000007",
            "88888888-0000-4000-8000-000000000008",
        ),
    ]
}
