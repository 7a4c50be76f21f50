//! Sealed contexts: the sound database holds with them, too; and each way of weakening them is caught.

use bastide_plan::{Step, steps::SealContext};
use bastide_sql::{Ident, sql};
use bastide_testkit::{Database, Server};
use bastide_verify::{App, Finding, Options, Outcome, Probe, Verb, verify};

use super::{not_held, open, sound, verdict};

async fn sealed() -> (Server, Database) {
    let (server, db) = sound().await;
    for statement in Step::SealContext(SealContext { root_type: sql!("uuid") }).forward().statements {
        db.execute(statement.as_str()).await;
    }
    // Not every server keeps a seal from SQL written for its holes; here that was accepted, as a plan does.
    db.execute(
        "UPDATE bastide.run SET plan = plan || '{\"config\": {\"answers\": {\"seal:server\": \"accept\"}}}'",
    )
    .await;
    (server, db)
}

fn forged(probes: &[Probe]) -> Vec<&Probe> {
    probes.iter().filter(|probe| probe.cell.verb == Verb::Forge).collect()
}

#[tokio::test]
async fn a_sound_database_holds_and_no_report_has_a_token() {
    let (_server, db) = sealed().await;
    let held = verdict(&db, Options::default()).await;
    assert_eq!(open(&held), Vec::<&Finding>::new());
    assert_eq!(not_held(&held), Vec::<&Probe>::new());
    assert_eq!(forged(&held.probes).len(), 7);
    // By SET ROLE the session is the owner's, and so are its tokens.
    let mut owner = db.client().await;
    let app = Ident::constant("bastide_app");
    let weaker = verify(&mut owner, App::SetRole(&app), Options::default()).await.unwrap();
    assert_eq!((not_held(&weaker), forged(&weaker.probes).len()), (Vec::new(), 7));
    db.execute("CREATE POLICY open ON orders TO bastide_app USING (true)").await;
    let breached = verdict(&db, Options::default()).await;
    let scripts: Vec<&str> = breached.probes.iter().filter_map(|probe| probe.reproduce.as_deref()).collect();
    assert!(scripts.iter().any(|script| script.contains("bastide.set_tenant(:'context_")), "{scripts:?}");
    assert!(scripts.iter().all(|script| !script.contains("v1.1.")), "{scripts:?}");
}

/// By what a finding or a probe says.
const WEAKER: &[(&str, &str)] = &[
    (
        "a token with another tenant in it",
        "CREATE OR REPLACE FUNCTION bastide.open_seal(token text) RETURNS text LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER
         SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN substr(token, 71 + length(split_part(token, '.', 2)) + length(split_part(token, '.', 3))); END $$",
    ),
    (
        "another login's token",
        "CREATE OR REPLACE FUNCTION bastide.seal_mac(inner_pad bytea, outer_pad bytea, kept text, expiry text, login text, tenant text) RETURNS bytea
         LANGUAGE sql STABLE PARALLEL SAFE RETURN sha256(outer_pad || sha256(inner_pad || convert_to(concat_ws('.', kept, expiry, tenant), 'UTF8')))",
    ),
    (
        "a token with a code of its own making",
        "CREATE OR REPLACE FUNCTION bastide.seal_mac(inner_pad bytea, outer_pad bytea, kept text, expiry text, login text, tenant text) RETURNS bytea
         LANGUAGE sql STABLE PARALLEL SAFE RETURN sha256(convert_to(tenant, 'UTF8'))",
    ),
    (
        "an expired token",
        "DO $do$ DECLARE made text := pg_get_functiondef('bastide.open_seal(text)'::regprocedure); BEGIN
            EXECUTE replace(made, 'extract(epoch FROM statement_timestamp())', '0'); END $do$",
    ),
    ("bastide.open_seal", "ALTER FUNCTION bastide.open_seal(text) SECURITY INVOKER"),
    ("bastide.open_seal", "ALTER FUNCTION bastide.open_seal(text) OWNER TO shop"),
    ("bastide.open_seal", "ALTER FUNCTION bastide.open_seal(text) LEAKPROOF"),
    ("bastide.seal_key", "GRANT SELECT ON bastide.seal_key TO bastide_app"),
    ("bastide.seal_key", "GRANT SELECT (secret) ON bastide.seal_key TO PUBLIC"),
    (
        "bastide.current_tenant",
        "CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
         RETURN COALESCE(NULLIF(pg_catalog.current_setting('bastide.plain', true), ''), bastide.open_seal(NULLIF(pg_catalog.current_setting('bastide.tenant', true), '')))",
    ),
    ("bastide.seal", "ALTER FUNCTION bastide.seal(text, name, interval) SECURITY DEFINER; GRANT EXECUTE ON FUNCTION bastide.seal(text, name, interval) TO bastide_app"),
];

#[tokio::test]
async fn whatever_weakens_the_seal_is_caught() {
    let (server, db) = sealed().await;
    for (number, (names, weaken)) in WEAKER.iter().enumerate() {
        let copy = server.copy_of(&db, &format!("weaker_{number}")).await;
        copy.execute(weaken).await;
        let verdict = verdict(&copy, Options::default()).await;
        let by_finding = open(&verdict).iter().any(|finding| finding.object.contains(names));
        let by_probe = verdict.probes.iter().any(|probe| {
            matches!(probe.outcome, Outcome::Breached { .. }) && probe.cell.object.contains(names)
        });
        assert!(by_finding || by_probe, "{names}: {weaken}\n{:?}", open(&verdict));
        assert!(!verdict.isolated());
    }
}
