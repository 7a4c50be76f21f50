//! `src/routes/api_keys.rs`

use serde_json::json;

use crate::driver::{Case, Who};

const KEYS: &str = "DELETE FROM public.api_keys;
    INSERT INTO public.api_keys (tenant_id, id, name, kind, prefix, hash, scopes, created_by)
    SELECT m.id, CASE m.slug WHEN 'lagoon' THEN uuid '66666666-0000-4000-8000-000000000001' ELSE '66666666-0000-4000-8000-000000000002' END,
        'Case', 'secret', 'sk_case', encode(sha256(m.slug::bytea), 'hex'), '[\"orders:read\"]', '11111111-0000-4000-8000-000000000001'
    FROM public.merchants m WHERE m.slug IN ('lagoon', 'harbour')";

pub(crate) fn cases() -> Vec<Case> {
    let who = Who::Team { may: &["owner", "admin"], may_not: &["staff", "viewer"] };
    let body =
        json!({ "name": "Bookkeeping", "kind": "secret", "scopes": ["orders:read"], "expires_in_days": 7 });
    let with = |name: &str, value| {
        let mut other = body.clone();
        other[name] = value;
        other
    };
    vec![
        Case::of("list_api_keys", who),
        Case::of("create_api_key", who)
            .sends(body.clone())
            .refuses_body(with("name", json!("")), 422, "invalid", "/name")
            .refuses_body(with("kind", json!("magic")), 422, "invalid", "/kind")
            .refuses_body(with("kind", json!("publishable")), 422, "invalid", "/scopes")
            .refuses_body(with("scopes", json!([])), 422, "invalid", "/scopes")
            .refuses_body(with("scopes", json!(["orders:read", "team:write"])), 422, "invalid", "/scopes/1")
            .refuses_body(with("scopes", json!(["*"])), 422, "invalid", "/scopes/0")
            .refuses_body(with("expires_in_days", json!(0)), 422, "invalid", "/expires_in_days"),
        Case { prepare: KEYS, ..Case::of("revoke_api_key", who) }.at(
            "key",
            "66666666-0000-4000-8000-000000000001",
            "66666666-0000-4000-8000-000000000002",
        ),
    ]
}
