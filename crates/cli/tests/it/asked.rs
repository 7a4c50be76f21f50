//! What a run leaves as it is and verification would fail for, hours later: `rls plan` asks or refuses, and what was accepted
//! lasts to the end and back.

use bastide_testkit::{Server, server};

use crate::bastide::{Bastide, Ran};

const SHOP: &str = "CREATE TABLE shop (id integer PRIMARY KEY, name text NOT NULL);
    CREATE TABLE sale (id serial PRIMARY KEY, shop_id integer REFERENCES shop, note text);
    CREATE TABLE line (id serial PRIMARY KEY, sale_id integer NOT NULL REFERENCES sale, what text);
    INSERT INTO shop VALUES (1, 'a'), (2, 'b'); INSERT INTO sale (shop_id, note) SELECT 1 + g % 2, 'x' FROM generate_series(1, 20) g;
    INSERT INTO line (sale_id) SELECT g FROM generate_series(1, 20) g";

/// All that `postgres` has made over the years, on a database that began before PostgreSQL 15.
const STANDING: &str = "GRANT CREATE ON SCHEMA public TO PUBLIC;
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_notify('sales', NEW.id::text); RETURN NULL; END$$;
    CREATE TRIGGER tell AFTER INSERT ON sale FOR EACH ROW EXECUTE FUNCTION tell();
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN RETURN NULL; END$$;
    CREATE TRIGGER audit AFTER INSERT ON sale FOR EACH ROW EXECUTE FUNCTION audit();
    CREATE TRIGGER audit AFTER INSERT ON line FOR EACH ROW EXECUTE FUNCTION audit();
    CREATE FUNCTION bound() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$BEGIN RETURN NEW; END$$;
    CREATE ROLE clerk; ALTER FUNCTION bound() OWNER TO clerk;
    CREATE VIEW seen AS SELECT * FROM sale; CREATE TRIGGER bound INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION bound();
    CREATE FUNCTION same(text) RETURNS text LANGUAGE sql IMMUTABLE LEAKPROOF AS 'SELECT $1';
    ALTER FUNCTION pg_catalog.textlike(text, text) LEAKPROOF;
    ALTER TABLE sale DROP CONSTRAINT sale_shop_id_fkey, ADD CONSTRAINT of_shop FOREIGN KEY (shop_id) REFERENCES shop NOT VALID;
    ALTER TABLE sale DISABLE TRIGGER ALL; ALTER TABLE sale ENABLE TRIGGER USER;
    SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC; ALTER DATABASE standing SET lo_compat_privileges = on;
    CREATE FOREIGN DATA WRAPPER far; CREATE SERVER away FOREIGN DATA WRAPPER far;
    GRANT USAGE ON FOREIGN SERVER away TO PUBLIC; GRANT USAGE ON FOREIGN DATA WRAPPER far TO PUBLIC";

const ASKED: [&str; 11] = [
    "definer:public.audit",
    "definer:public.bound",
    "enforcement:public.sale",
    "key:public.sale.of_shop",
    "large_objects",
    "large_objects:all",
    "leakproof:pg_catalog.textlike(text, text)",
    "leakproof:public.same(text)",
    "notify:public.tell",
    "server:away",
    "wrapper:far",
];

fn plan(bastide: &Bastide, more: &[&str]) -> Ran {
    let arguments = ["rls", "plan", "--accept-defaults", "--tenant-root", "public.shop"];
    bastide.run(&[&arguments, more].concat())
}

#[tokio::test]
async fn what_would_fail_the_run_at_its_end_is_asked_before_it() {
    let server = server().await;
    let db = server.database("standing").await;
    db.execute(SHOP).await;
    db.execute(STANDING).await;
    let dump = db.schema_dump().await;
    let bastide = Bastide::on(db.url());
    let planned = plan(&bastide, &[]);
    for id in ASKED {
        assert!(planned.stdout.contains(id), "{id}: {}\n{}", planned.stdout, planned.stderr);
    }
    let path = bastide.path().join("plan.toml");
    let migrate = ["rls", "migrate", "--yes", "--plan", path.to_str().unwrap()];
    let refused = bastide.run(&migrate).expect(2);
    assert!(refused.stderr.contains("11 open questions"), "{}", refused.stderr);
    assert_eq!(db.schema_dump().await, dump, "nothing changed");

    let answer = |id: &str| if id.starts_with("key:") { "keep" } else { "accept" };
    let answers: String = ASKED.iter().map(|id| format!("\"{id}\" = \"{}\"\n", answer(id))).collect();
    let settings = bastide.path().join("bastide.toml");
    std::fs::write(&settings, format!("[answers]\n{answers}")).unwrap();
    plan(&bastide, &["--config", settings.to_str().unwrap()]).expect(0);
    bastide.run(&migrate).expect(0);
    bastide.run(&["rls", "cutover", "--watch", "0", "--yes"]).expect(0);
    let verdict = bastide.run(&["rls", "validate"]).expect(0);
    for id in ASKED {
        let said = format!("the operator accepted that (`{id}` = `{}`", answer(id));
        assert!(verdict.stdout.contains(&said), "{id}: {}", verdict.stdout);
    }
    bastide.run(&["rls", "rollback", "--yes"]).expect(0);
    assert_eq!(db.schema_dump().await, dump);
}

/// `mend` is what the refusal says to run; `more` is what `rls plan` is told besides.
async fn refused(server: &Server, name: &str, change: &str, mend: &str, more: &[&str]) {
    let db = server.database(name).await;
    db.execute(SHOP).await;
    db.execute(change).await;
    let bastide = Bastide::on(db.url());
    let ran = plan(&bastide, more).expect(2);
    assert!(ran.stderr.contains(mend), "{name}: {}", ran.stderr);
    db.execute(mend).await;
    plan(&bastide, more).expect(0);
}

#[tokio::test]
async fn what_nobody_should_accept_is_refused_with_what_to_run() {
    let server = server().await;
    let cases = [
        (
            "numbers",
            "GRANT ALL ON SEQUENCE sale_id_seq TO PUBLIC",
            "REVOKE UPDATE ON public.sale_id_seq FROM PUBLIC",
        ),
        ("preset", "ALTER DATABASE preset SET row_security = on", "ALTER DATABASE preset RESET row_security"),
        (
            "later",
            "ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO PUBLIC",
            "ALTER DEFAULT PRIVILEGES FOR ROLE postgres REVOKE CREATE ON SCHEMAS FROM PUBLIC",
        ),
        (
            "files",
            "GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO PUBLIC",
            "REVOKE EXECUTE ON ROUTINE pg_catalog.lo_export(oid, text) FROM PUBLIC",
        ),
        (
            "pure",
            "CREATE FUNCTION me() RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT current_setting('app.current_tenant', true)$$",
            "ALTER ROUTINE public.me() STABLE",
        ),
        (
            "rule",
            "CREATE TABLE log (t text); CREATE VIEW v AS SELECT * FROM sale; CREATE RULE r AS ON INSERT TO v DO INSTEAD INSERT INTO log VALUES ('x'); GRANT INSERT ON v TO PUBLIC",
            "REVOKE INSERT ON public.v FROM PUBLIC",
        ),
        (
            "parameter",
            "GRANT SET ON PARAMETER lo_compat_privileges TO PUBLIC",
            "REVOKE SET ON PARAMETER lo_compat_privileges FROM PUBLIC",
        ),
    ];
    for (name, change, mend) in cases {
        refused(&server, name, change, mend, &[]).await;
    }
}

#[tokio::test]
async fn a_login_of_before_that_has_too_much_is_refused_with_what_to_run() {
    let server = server().await;
    server.database("roles").await.execute("CREATE ROLE web LOGIN").await;
    let cases = [
        (
            "truncates",
            "GRANT ALL ON sale TO web",
            "REVOKE REFERENCES, TRIGGER, TRUNCATE ON public.sale FROM web",
        ),
        (
            "resets",
            "GRANT UPDATE ON SEQUENCE line_id_seq TO web",
            "REVOKE UPDATE ON public.line_id_seq FROM web",
        ),
        ("creates", "GRANT CREATE ON SCHEMA public TO web", "REVOKE CREATE ON SCHEMA public FROM web"),
        ("presets", "ALTER ROLE web SET row_security = off", "ALTER ROLE web RESET row_security"),
        (
            "sets",
            "GRANT SET ON PARAMETER session_replication_role TO web",
            "REVOKE SET ON PARAMETER session_replication_role FROM web",
        ),
        (
            "runs",
            "CREATE FUNCTION total(shop integer) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.sale'; GRANT EXECUTE ON FUNCTION total(integer) TO web",
            "REVOKE EXECUTE ON ROUTINE public.total(shop integer) FROM web",
        ),
    ];
    for (name, change, mend) in cases {
        refused(&server, name, change, mend, &["--app-role", "web"]).await;
    }
    for (name, change, why, undo) in [
        ("copies", "ALTER ROLE web CREATEDB", "has CREATEDB", "ALTER ROLE web NOCREATEDB"),
        ("passes", "GRANT SELECT ON sale TO web WITH GRANT OPTION", "WITH GRANT OPTION", "SELECT 1"),
    ] {
        let db = server.database(name).await;
        db.execute(SHOP).await;
        db.execute(change).await;
        let ran = plan(&Bastide::on(db.url()), &["--app-role", "web"]).expect(2);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        db.execute(undo).await;
    }
}

/// What they bring of their own is no question.
#[tokio::test]
async fn extensions_and_copies_of_rows_ask_nothing() {
    let server = server().await;
    let db = server.database("extended").await;
    db.execute(SHOP).await;
    db.execute("CREATE EXTENSION pgcrypto; CREATE EXTENSION \"uuid-ossp\"; CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm;
        CREATE EXTENSION dblink; CREATE EXTENSION tablefunc; CREATE EXTENSION postgres_fdw; CREATE EXTENSION unaccent; CREATE EXTENSION lo;
        GRANT CREATE ON SCHEMA public TO PUBLIC; GRANT CREATE ON DATABASE extended TO PUBLIC;
        CREATE FUNCTION notes() RETURNS SETOF text LANGUAGE plpgsql STABLE SECURITY DEFINER AS 'BEGIN RETURN QUERY SELECT note FROM public.sale; END';
        CREATE VIEW noted AS SELECT * FROM notes(); GRANT SELECT ON noted TO PUBLIC;
        CREATE MATERIALIZED VIEW counted AS SELECT shop_id, count(*) FROM sale GROUP BY 1; CREATE VIEW over_counted AS SELECT * FROM counted")
        .await;
    let bastide = Bastide::on(db.url());
    plan(&bastide, &[]).expect(0);
    let path = bastide.path().join("plan.toml");
    bastide.run(&["rls", "migrate", "--yes", "--plan", path.to_str().unwrap()]).expect(0);
    bastide.run(&["rls", "cutover", "--watch", "0", "--yes"]).expect(0);
}
