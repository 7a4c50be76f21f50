//! `src/routes/team.rs`

use serde_json::json;

use crate::driver::{Case, Who};

/// Somebody who may be let go without the driver missing them.
const HIRED: &str = "INSERT INTO public.team_members (merchant_id, user_id, role)
    VALUES ('aaaaaaaa-0000-4000-8000-000000000001', '44444444-0000-4000-8000-000000000004', 'staff') ON CONFLICT DO NOTHING";
const NOBODY: &str = "44444444-0000-4000-8000-000000000004";
const BEN: &str = "22222222-0000-4000-8000-000000000002";

pub(crate) fn cases() -> Vec<Case> {
    let who = Who::Team { may: &["owner", "admin"], may_not: &["staff", "viewer"] };
    vec![
        Case::of("list_team", who),
        Case { prepare: HIRED, ..Case::of("set_role", who) }
            .at("user", NOBODY, BEN)
            .sends(json!({ "role": "viewer" }))
            .refuses_body(json!({ "role": "god" }), 422, "invalid", "/role")
            .refuses_body(json!({ "role": "owner" }), 403, "forbidden", ""),
        Case { prepare: HIRED, ..Case::of("remove_member", who) }.at("user", NOBODY, BEN),
    ]
}
