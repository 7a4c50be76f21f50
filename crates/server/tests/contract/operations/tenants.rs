//! `src/routes/tenants.rs`

use serde_json::json;

use crate::{
    driver::{Case, Who},
    site::ADA,
};

pub(crate) fn cases() -> Vec<Case> {
    let owner =
        json!({ "name": "Dora", "email": "Dora@dunes.test", "password": "correct horse battery staple" });
    let body = json!({ "name": "Dunes", "slug": "dunes", "currency": "EUR", "owner": owner });
    let with = |pointer: &str, value| {
        let mut other = body.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        other
    };
    // The owner of the control is there by now.
    let other_owner = |slug: &str| {
        let mut other = with("/owner/email", json!("d@dunes.test"));
        other["slug"] = json!(slug);
        other
    };
    let mut unowned = body.clone();
    unowned.as_object_mut().unwrap().remove("owner");
    let mut of_a_browser = body.clone();
    of_a_browser["cookies"] = json!(true);
    vec![
        Case::of("create_tenant", Who::Anybody)
            .sends(body.clone())
            .refuses_body(with("/name", json!("")), 422, "invalid", "/name")
            .refuses_body(with("/slug", json!("Dünes")), 422, "invalid", "/slug")
            .refuses_body(with("/slug", json!("adm1n")), 422, "invalid", "/slug")
            .refuses_body(other_owner("lagoon"), 422, "invalid", "/slug")
            .refuses_body(with("/currency", json!("euro")), 422, "invalid", "/currency")
            .refuses_body(with("/owner/email", json!("dora")), 422, "invalid", "/owner/email")
            .refuses_body(with("/owner/email", json!(ADA)), 422, "invalid", "/owner/email")
            .refuses_body(with("/owner/password", json!("short")), 422, "invalid", "/owner/password")
            .refuses_body(unowned, 422, "invalid", "/owner")
            .refuses_body(of_a_browser, 403, "cross_site", ""),
        Case::of("check_subdomain", Who::Anybody)
            .asks("slug=dunes-2")
            .refuses_query("", 422, "invalid", "/slug")
            .refuses_query("slug=a&slug=b", 400, "bad_request", ""),
        Case::of("update_slug", Who::Team { may: &["owner"], may_not: &["admin", "staff", "viewer"] })
            .sends(json!({ "slug": "lagoon" }))
            .refuses_body(json!({ "slug": "harbour" }), 422, "invalid", "/slug")
            .refuses_body(json!({ "slug": "www" }), 422, "invalid", "/slug"),
    ]
}
