//! `src/routes/invitations.rs`

use serde_json::json;

use crate::driver::{Case, Who};

const INVITED: &str = "DELETE FROM public.invitations;
    INSERT INTO public.invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at)
    SELECT m.id, CASE m.slug WHEN 'lagoon' THEN uuid '99999999-0000-4000-8000-000000000001' ELSE '99999999-0000-4000-8000-000000000002' END,
        'cleo@' || m.slug || '.test', 'staff', encode(sha256(('inv_' || m.slug)::bytea), 'hex'), '11111111-0000-4000-8000-000000000001',
        now() + interval '1 day'
    FROM public.merchants m WHERE m.slug IN ('lagoon', 'harbour')";

pub(crate) fn cases() -> Vec<Case> {
    let who = Who::Team { may: &["owner", "admin"], may_not: &["staff", "viewer"] };
    let account = json!({ "name": "Cleo", "password": "correct horse battery staple" });
    vec![
        Case::of("list_invitations", who),
        Case::of("invite_member", who)
            .sends(json!({ "email": "Cleo@lagoon.test", "role": "staff" }))
            .refuses_body(json!({ "email": "cleo", "role": "staff" }), 422, "invalid", "/email")
            .refuses_body(json!({ "email": "c\r\nx@lagoon.test", "role": "staff" }), 422, "invalid", "/email")
            .refuses_body(json!({ "email": "cleo@lagoon.test", "role": "god" }), 422, "invalid", "/role")
            .refuses_body(json!({ "email": "cleo@lagoon.test", "role": "owner" }), 403, "forbidden", ""),
        Case { prepare: INVITED, ..Case::of("revoke_invitation", who) }.at(
            "invitation",
            "99999999-0000-4000-8000-000000000001",
            "99999999-0000-4000-8000-000000000002",
        ),
        Case { prepare: INVITED, ..Case::of("accept_invitation", Who::Anybody) }
            .sends(json!({ "token": "inv_lagoon", "account": account }))
            .refuses_body(json!({ "token": "inv_lagoon" }), 422, "invalid", "/account")
            .refuses_body(
                json!({ "token": "inv_lagoon", "account": { "name": "C", "password": "short" } }),
                422,
                "invalid",
                "/account/password",
            )
            .refuses_body(json!({ "token": "inv_nobody", "account": account }), 404, "not_found", "")
            .refuses_body(json!({ "token": "\u{0}", "account": account }), 404, "not_found", ""),
    ]
}
