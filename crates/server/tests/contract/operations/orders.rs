//! `src/routes/orders.rs`

use crate::driver::{Case, Who};

pub(crate) fn cases() -> Vec<Case> {
    let who = Who::Team { may: &["owner", "admin", "staff"], may_not: &["viewer"] };
    vec![
        Case::of("list_orders", who)
            .refuses_query("limit=ten", 422, "invalid", "/limit")
            .refuses_query("limit=1&limit=2", 400, "bad_request", "")
            .refuses_query("cursor=e30.e30", 400, "invalid_cursor", ""),
    ]
}
