//! The matrix: nothing missing from it, nothing made up in it, and every breach there again in psql.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use bastide_testkit::Database;
use bastide_verify::{Context, Options, Outcome, Path, Probe, Verb, Verdict};

use super::{PASSWORD, not_held, sound, verdict};

const BY_ROWS: [Verb; 6] =
    [Verb::Select, Verb::CopyOut, Verb::Update, Verb::Returning, Verb::Merge, Verb::Delete];

/// That can be written: by themselves, by a trigger, by a rule, and without a key.
const VIEWS: &str = "
    CREATE VIEW whole WITH (security_invoker) AS SELECT id, merchant_id, number, total FROM orders;
    CREATE VIEW keyless WITH (security_invoker) AS SELECT merchant_id, number, total FROM orders;
    CREATE VIEW by_trigger WITH (security_invoker) AS SELECT * FROM whole;
    CREATE FUNCTION by_trigger() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$ BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO orders (id, merchant_id, number, total) OVERRIDING SYSTEM VALUE VALUES (NEW.id, NEW.merchant_id, NEW.number, NEW.total);
            RETURN NEW;
        ELSIF TG_OP = 'UPDATE' THEN
            UPDATE orders SET merchant_id = NEW.merchant_id, number = NEW.number WHERE id = OLD.id; RETURN NEW;
        END IF;
        DELETE FROM orders WHERE id = OLD.id; RETURN OLD; END $$;
    CREATE TRIGGER by_trigger INSTEAD OF INSERT OR UPDATE OR DELETE ON by_trigger FOR EACH ROW EXECUTE FUNCTION by_trigger();
    CREATE VIEW by_rule WITH (security_invoker) AS SELECT id, merchant_id, number, total FROM orders;
    ALTER VIEW by_rule OWNER TO shop;
    CREATE RULE put AS ON INSERT TO by_rule DO INSTEAD INSERT INTO orders (merchant_id, number, total) VALUES (NEW.merchant_id, NEW.number, NEW.total);
    CREATE RULE changed AS ON UPDATE TO by_rule DO INSTEAD UPDATE orders SET merchant_id = NEW.merchant_id WHERE id = OLD.id
        RETURNING id, merchant_id, number, total;
    CREATE RULE gone AS ON DELETE TO by_rule DO INSTEAD DELETE FROM orders WHERE id = OLD.id;
    GRANT SELECT, INSERT, UPDATE, DELETE ON whole, keyless, by_trigger, by_rule TO bastide_app";

fn cells(verdict: &Verdict, object: &str, path: Path) -> BTreeSet<(Verb, Context)> {
    let of = |probe: &&Probe| probe.cell.object == object && probe.cell.path == path;
    verdict.probes.iter().filter(of).map(|probe| (probe.cell.verb, probe.cell.context)).collect()
}

fn product(verbs: &[Verb], contexts: &[Context]) -> BTreeSet<(Verb, Context)> {
    verbs.iter().flat_map(|verb| contexts.iter().map(move |context| (*verb, *context))).collect()
}

#[tokio::test]
async fn every_verb_is_tried_in_every_context_on_every_way() {
    let (_server, db) = sound().await;
    // A partition and views that can be written through, in the application's reach.
    db.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON events_2025 TO bastide_app").await;
    db.execute(VIEWS).await;
    let verdict = verdict(&db, Options::default()).await;
    assert_eq!(not_held(&verdict), Vec::<&Probe>::new());
    let every = &Context::ALL[..Context::OF_EVERY_VERB];
    let mut table = product(&BY_ROWS, every);
    table.extend(product(&[Verb::Select], &Context::ALL));
    table.extend(product(&[Verb::Insert, Verb::OnConflict, Verb::MergeInsert], every));
    table.extend(product(&[Verb::ZeroRow, Verb::Truncate, Verb::CopyIn], &[Context::Unset]));
    table.extend(product(&[Verb::Move], &[Context::Other]));
    let switched = [Context::Other, Context::Empty];
    for (object, path) in [
        ("public.orders", Path::Table),
        ("public.drafts", Path::Table),
        ("public.events_2025", Path::Partition),
    ] {
        assert_eq!(cells(&verdict, object, path), table, "{object}");
        let prepared = product(&[Verb::Select, Verb::Update, Verb::Insert], &switched);
        assert_eq!(cells(&verdict, object, Path::Prepared), prepared, "{object}");
        for (path, last) in [
            (Path::Cursor, Context::Unset),
            (Path::ScrollCursor, Context::Unset),
            (Path::HeldCursor, Context::AfterReturn),
        ] {
            let contexts = [Context::Other, Context::Empty, last];
            assert_eq!(cells(&verdict, object, path), product(&[Verb::Select], &contexts), "{object} {path}");
        }
    }
    let mut view: BTreeSet<_> =
        table.into_iter().filter(|(verb, _)| !matches!(verb, Verb::Truncate | Verb::CopyIn)).collect();
    for name in ["public.whole", "public.by_trigger", "public.by_rule"] {
        assert_eq!(cells(&verdict, name, Path::View), view, "{name}");
    }
    // Without one column of the key there is nothing to conflict with.
    view.retain(|(verb, _)| *verb != Verb::OnConflict);
    assert_eq!(cells(&verdict, "public.keyless", Path::View), view);
    for (name, verb, said) in [
        ("public.whole", Verb::Insert, "the same insert for the tenant itself works"),
        ("public.whole", Verb::OnConflict, "the same on conflict for the tenant itself works"),
        ("public.keyless", Verb::Insert, "the same insert for the tenant itself works"),
        ("public.by_trigger", Verb::Insert, "the same insert for the tenant itself works"),
        (
            "public.by_trigger",
            Verb::Delete,
            "delete of a row of its own reaches it, and stops at a constraint (23503)",
        ),
        ("public.by_trigger", Verb::Move, "the row is the tenant's own, and the UPDATE reaches it"),
        ("public.by_rule", Verb::Insert, "the same insert for the tenant itself works"),
        ("public.by_rule", Verb::Returning, "returning of a row of its own works"),
    ] {
        let of = |probe: &&Probe| {
            (probe.cell.object.as_str(), probe.cell.verb, probe.cell.context) == (name, verb, Context::Other)
        };
        assert_eq!(verdict.probes.iter().find(of).unwrap().control, said, "{name} {verb}");
    }
    let link = "public.\"Order Lines\":\"Order Lines_tenant_id_order_id_fkey\"";
    let both = product(&[Verb::Insert], &[Context::Own, Context::Other]);
    assert_eq!(cells(&verdict, link, Path::ForeignKey), both);
    assert_eq!(
        cells(&verdict, "public.whoami()", Path::Function),
        product(&[Verb::Execute], &[Context::Unset])
    );
    let twice: Vec<_> = verdict.probes.iter().map(|probe| &probe.cell).collect();
    assert_eq!(twice.len(), twice.iter().collect::<BTreeSet<_>>().len(), "no cell is there twice");
}

#[tokio::test]
async fn controls_are_acts_that_succeeded() {
    let (_server, db) = sound().await;
    let verdict = verdict(&db, Options::default()).await;
    let control = |object: &str, verb, context| {
        let of = |probe: &&Probe| {
            let cell = &probe.cell;
            (cell.object.as_str(), cell.verb, cell.context) == (object, verb, context)
                && matches!(cell.path, Path::Table | Path::ForeignKey)
        };
        verdict.probes.iter().find(of).map(|probe| probe.control.clone()).unwrap_or_default()
    };
    for (object, verb, said) in [
        ("public.orders", Verb::Insert, "the same insert for the tenant itself works"),
        ("public.orders", Verb::OnConflict, "the same on conflict for the tenant itself works"),
        ("public.orders", Verb::Merge, "merge of a row of its own works"),
        ("public.orders", Verb::MergeInsert, "the same merge insert for the tenant itself works"),
        ("public.orders", Verb::CopyOut, "as a tenant it copies 4 rows"),
        (
            "public.drafts",
            Verb::Select,
            "as that tenant it sees 1 rows, as many as the owner counts, one of them made for the attempt",
        ),
        ("public.drafts", Verb::Delete, "delete of a row of its own works"),
        ("public.drafts", Verb::Insert, "the same insert for the tenant itself works (a row made up)"),
    ] {
        assert_eq!(control(object, verb, Context::AfterReturn), said, "{object} {verb}");
    }
    let link = "public.\"Order Lines\":\"Order Lines_tenant_id_order_id_fkey\"";
    assert_eq!(
        control(link, Verb::Insert, Context::Other),
        "the same reference to a row of the tenant's own works"
    );
}

#[tokio::test]
async fn sequences_and_rows_are_left_as_they_were() {
    let (_server, db) = sound().await;
    db.execute("CREATE TABLE tickets (id bigserial PRIMARY KEY, tenant_id uuid NOT NULL, what text NOT NULL);
        ALTER TABLE tickets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY bastide_tenant ON tickets USING (tenant_id = (SELECT bastide.current_tenant()::uuid))
            WITH CHECK (tenant_id = (SELECT bastide.current_tenant()::uuid));
        INSERT INTO bastide.scope VALUES ('public', 'tickets', 'tenant_id', '00000000-0000-4000-8000-0000000000aa');
        GRANT SELECT, INSERT, UPDATE, DELETE ON tickets TO bastide_app; GRANT USAGE ON SEQUENCE tickets_id_seq TO bastide_app;
        INSERT INTO tickets (tenant_id, what) SELECT id, 'one tenant alone' FROM merchants LIMIT 1")
        .await;
    let sequences = "SELECT string_agg(sequencename || ' ' || coalesce(last_value::text, 'new'), ', ' ORDER BY 1) FROM pg_sequences";
    let (rows, drawn) = (db.fingerprints().await, db.query_one_text(sequences).await);
    let verdict = verdict(&db, Options::default()).await;
    assert_eq!(not_held(&verdict), Vec::<&Probe>::new());
    assert!(cells(&verdict, "public.tickets", Path::Table).contains(&(Verb::Insert, Context::Own)));
    assert_eq!(db.query_one_text(sequences).await, drawn);
    assert_eq!(db.fingerprints().await, rows);
}

/// The script, as somebody would run it: psql, the login, standard input.
fn psql(db: &Database, script: &str) -> (bool, String) {
    let mut child = Command::new("psql")
        .args(["--no-psqlrc", "--tuples-only", "--no-align"])
        .arg(db.url_as("bastide_app", PASSWORD))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

type Wanted = (&'static str, Path, Verb, Context);

/// Ways to break isolation, and cells that must be breached by each.
const BROKEN: &[(&str, &[Wanted])] = &[
    (
        "ALTER POLICY bastide_tenant ON orders USING (true) WITH CHECK (true)",
        &[
            ("public.orders", Path::Table, Verb::Select, Context::Other),
            ("public.orders", Path::Table, Verb::CopyOut, Context::Unset),
            ("public.orders", Path::Table, Verb::Insert, Context::Other),
            ("public.orders", Path::Table, Verb::Insert, Context::Unset),
            ("public.orders", Path::Table, Verb::OnConflict, Context::Other),
            ("public.orders", Path::Table, Verb::Merge, Context::Empty),
            ("public.orders", Path::Table, Verb::MergeInsert, Context::Other),
            ("public.orders", Path::Table, Verb::MergeInsert, Context::Unset),
            ("public.orders", Path::Table, Verb::Update, Context::AfterReset),
            ("public.orders", Path::Table, Verb::Returning, Context::AfterReturn),
            ("public.orders", Path::Table, Verb::Move, Context::Other),
            ("public.orders", Path::Prepared, Verb::Select, Context::Other),
            ("public.orders", Path::Prepared, Verb::Insert, Context::Empty),
            ("public.orders", Path::Cursor, Verb::Select, Context::Other),
            ("public.orders", Path::Cursor, Verb::Select, Context::Unset),
            ("public.orders", Path::ScrollCursor, Verb::Select, Context::Empty),
            ("public.orders", Path::ScrollCursor, Verb::Select, Context::Unset),
            ("public.orders", Path::HeldCursor, Verb::Select, Context::AfterReturn),
        ],
    ),
    (
        // Written where a rollback, RESET and DISCARD do not reach: in a sequence.
        "CREATE SEQUENCE bastide.kept; GRANT UPDATE, SELECT ON SEQUENCE bastide.kept TO bastide_app;
         CREATE OR REPLACE FUNCTION bastide.set_tenant(v text) RETURNS void LANGUAGE sql VOLATILE
            BEGIN ATOMIC SELECT setval('bastide.kept', right(v, 1)::bigint); END;
         CREATE OR REPLACE FUNCTION bastide.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
            BEGIN ATOMIC SELECT '00000000-0000-4000-8000-00000000000' || last_value FROM bastide.kept; END",
        &[
            ("public.orders", Path::Table, Verb::Select, Context::AfterDiscard),
            ("public.orders", Path::Table, Verb::Select, Context::AfterResetAll),
            ("public.orders", Path::Table, Verb::Select, Context::AfterRollbackTo),
            ("public.orders", Path::Table, Verb::Select, Context::AfterFailure),
            ("public.orders", Path::Table, Verb::Select, Context::AfterChain),
        ],
    ),
    (
        "CREATE VIEW written WITH (security_invoker) AS SELECT id, merchant_id, number, total FROM orders;
         CREATE FUNCTION written() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN
            INSERT INTO public.orders (merchant_id, number, total) VALUES (NEW.merchant_id, NEW.number || 'x', NEW.total); RETURN NEW; END $$;
         CREATE TRIGGER written INSTEAD OF INSERT ON written FOR EACH ROW EXECUTE FUNCTION written();
         GRANT SELECT, INSERT ON written TO bastide_app",
        &[
            ("public.written", Path::View, Verb::Insert, Context::Other),
            ("public.written", Path::View, Verb::Insert, Context::AfterReturn),
        ],
    ),
    (
        "CREATE VIEW ruled WITH (security_invoker) AS SELECT id, merchant_id, number, total FROM orders;
         CREATE RULE put AS ON INSERT TO ruled DO INSTEAD INSERT INTO orders (merchant_id, number, total)
            VALUES (NEW.merchant_id, NEW.number || 'x', NEW.total);
         CREATE RULE given AS ON UPDATE TO ruled DO INSTEAD UPDATE orders SET merchant_id = NEW.merchant_id WHERE id = OLD.id;
         GRANT SELECT, INSERT, UPDATE ON ruled TO bastide_app",
        &[
            ("public.ruled", Path::View, Verb::Insert, Context::Other),
            ("public.ruled", Path::View, Verb::Insert, Context::Unset),
            ("public.ruled", Path::View, Verb::Move, Context::Other),
        ],
    ),
    (
        "CREATE VIEW lent AS SELECT id, merchant_id, number, total FROM orders; ALTER VIEW lent OWNER TO postgres;
         GRANT SELECT, INSERT, UPDATE, DELETE ON lent TO bastide_app",
        &[
            ("public.lent", Path::View, Verb::Insert, Context::Other),
            ("public.lent", Path::View, Verb::OnConflict, Context::Other),
            ("public.lent", Path::View, Verb::Update, Context::Other),
            ("public.lent", Path::View, Verb::Returning, Context::Unset),
            ("public.lent", Path::View, Verb::Delete, Context::Empty),
            ("public.lent", Path::View, Verb::Move, Context::Other),
        ],
    ),
    (
        "ALTER POLICY bastide_tenant ON drafts USING (true) WITH CHECK (true)",
        &[
            ("public.drafts", Path::Table, Verb::Select, Context::Unset),
            ("public.drafts", Path::Table, Verb::Delete, Context::Other),
            ("public.drafts", Path::Table, Verb::OnConflict, Context::Other),
        ],
    ),
    (
        r#"ALTER TABLE "Order Lines" DROP CONSTRAINT "Order Lines_tenant_id_order_id_fkey",
           ADD CONSTRAINT simple FOREIGN KEY (order_id) REFERENCES orders (id)"#,
        &[("public.\"Order Lines\":simple", Path::ForeignKey, Verb::Insert, Context::Other)],
    ),
    (
        "CREATE VIEW mine AS SELECT id, merchant_id FROM orders; ALTER VIEW mine OWNER TO postgres;
         GRANT SELECT ON mine TO bastide_app",
        &[("public.mine", Path::View, Verb::ZeroRow, Context::Unset)],
    ),
    (
        "CREATE FUNCTION newest() RETURNS SETOF text STABLE SECURITY DEFINER LANGUAGE sql AS
             'SELECT number || merchant_id FROM public.orders
              WHERE merchant_id = coalesce(bastide.current_tenant(), ''00000000-0000-4000-8000-000000000001'')::uuid'",
        &[("public.newest()", Path::Function, Verb::Execute, Context::Unset)],
    ),
];

#[tokio::test]
async fn the_script_of_a_breach_shows_it_again_in_psql() {
    let (server, original) = sound().await;
    for (number, (broken, expected)) in BROKEN.iter().enumerate() {
        let db = server.copy_of(&original, &format!("broken_{number}")).await;
        db.execute(broken).await;
        let verdict = verdict(&db, Options::default()).await;
        let rows = db.fingerprints().await;
        for (object, path, verb, context) in *expected {
            let of = |probe: &&Probe| {
                let cell = &probe.cell;
                (cell.object.as_str(), cell.path, cell.verb, cell.context)
                    == (*object, *path, *verb, *context)
            };
            let probe =
                verdict.probes.iter().find(of).unwrap_or_else(|| panic!("{object} {path} {verb} {context}"));
            assert!(matches!(probe.outcome, Outcome::Breached { .. }), "{probe:?}");
        }
        let unexplained = |probe: &&Probe| matches!(&probe.outcome, Outcome::Breached { how } if how.contains("a check is missing"));
        assert_eq!(verdict.breaches().find(unexplained), None);
        // Of those that were not expected by name, two contexts stand for the seven.
        let tried = |probe: &&Probe| matches!(probe.cell.context, Context::Other | Context::Unset);
        for probe in verdict.breaches().filter(tried) {
            let script = probe.reproduce.as_deref().unwrap();
            let (_, in_broken) = psql(&db, script);
            let (_, in_sound) = psql(&original, script);
            assert_ne!(in_broken, in_sound, "{}\n{script}", probe.cell);
            let refused = ["row-level security policy", "would be affected by row-level security"];
            assert!(
                !refused.iter().any(|no| in_broken.contains(no)),
                "{}\n{script}\n{in_broken}",
                probe.cell
            );
        }
        assert!(verdict.breaches().count() >= expected.len());
        assert_eq!(db.fingerprints().await, rows, "a script left something behind");
    }
}

#[tokio::test]
async fn what_takes_too_long_goes_untested_and_without_an_answer_that_is_not_isolated() {
    let (_server, db) = sound().await;
    db.execute(
        "CREATE VIEW slow WITH (security_invoker) AS SELECT o.* FROM pg_sleep(60) AS waited, orders AS o;
         GRANT SELECT ON slow TO bastide_app",
    )
    .await;
    let verdict = verdict(&db, Options::default()).await;
    let unanswered: Vec<_> = verdict.unanswered().map(|probe| probe.cell.to_string()).collect();
    assert_eq!(unanswered, ["select public.slow (context: unset; by: view)"]);
    assert!(!verdict.isolated() && verdict.breaches().next().is_none());
    let why = |context| {
        let of = |probe: &&Probe| {
            (probe.cell.object.as_str(), probe.cell.verb, probe.cell.context)
                == ("public.slow", Verb::Select, context)
        };
        match verdict.probes.iter().find(of).map(|probe| &probe.outcome) {
            Some(Outcome::Untested { why }) => why.clone(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(why(Context::Unset), "gave up after 5 s (57014)");
    assert_eq!(why(Context::Malformed), "not tried: the first attempt gave up");
}
