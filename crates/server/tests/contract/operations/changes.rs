//! `src/routes/changes.rs`

use crate::driver::{Case, Who};

pub(crate) fn cases() -> Vec<Case> {
    let who = Who::Team { may: &["owner", "admin"], may_not: &["staff", "viewer"] };
    vec![
        Case::of("list_changes", who)
            .refuses_query("limit=ten", 422, "invalid", "/limit")
            .refuses_query("actor=ada", 422, "invalid", "/actor")
            .refuses_query("entity=%00", 422, "invalid", "/entity")
            .refuses_query("entity=a&entity=b", 400, "bad_request", "")
            .refuses_query("cursor=e30.e30", 400, "invalid_cursor", ""),
    ]
}
