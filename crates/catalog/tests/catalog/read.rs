//! Everything but tables and views, and that a snapshot does not hang on who reads it.

use bastide_catalog::{Acl, Catalog, DECISIVE_PARAMETERS, FunctionKind, Volatility};
use bastide_sql::Ident;
use insta::assert_snapshot;

use super::{list, nasty, read, table};

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

/// As psql's `\dp` would, spelled out; `-` where the built-in defaults hold.
fn grants(acl: &Option<Acl>) -> String {
    let Some(acl) = acl else { return "-".to_owned() };
    list(acl.iter().map(|item| {
        let grantee = item.grantee.as_ref().map_or("PUBLIC".to_owned(), ToString::to_string);
        let kinds =
            item.privileges.iter().map(|p| format!("{}{}", p.kind, if p.grantable { "*" } else { "" }));
        format!("{grantee}={}/{}", kinds.collect::<Vec<_>>().join("+"), item.grantor)
    }))
}

#[tokio::test]
async fn grants_keep_their_order_and_none_is_not_empty() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let child = table(&catalog, "public.child");
    assert_snapshot!(grants(&child.acl), @r#"postgres=INSERT+SELECT+UPDATE+DELETE+TRUNCATE+REFERENCES+TRIGGER/postgres, "Reader Role"=INSERT+SELECT/postgres, catalog_group=SELECT*/postgres"#);
    assert_snapshot!(list(child.columns.iter().map(|c| format!("{}: {}", c.name, grants(&c.acl)))), @"id: PUBLIC=SELECT/postgres, pa: -, pb: -, note: PUBLIC=UPDATE/postgres, during: -, self_id: -");
    assert_eq!(table(&catalog, "public.scratch").acl, Some(Vec::new()));
    assert_eq!(table(&catalog, "public.parent").acl, None);
    assert_snapshot!(grants(&catalog.schemas[&ident("We\"ird.Schema")].acl), @r#"postgres=USAGE+CREATE/postgres, "Reader Role"=USAGE/postgres"#);
    let defaults = catalog.default_privileges.iter().map(|d| {
        let schema = d.schema.as_ref().map_or("every schema".to_owned(), ToString::to_string);
        format!("{} {schema} {} {}", d.role, d.object, grants(&Some(d.acl.clone())))
    });
    assert_snapshot!(defaults.collect::<Vec<_>>().join("\n"), @r#"
    catalog_definer every schema f catalog_definer=EXECUTE/catalog_definer
    catalog_definer public r "Reader Role"=SELECT/catalog_definer
    "#);
    assert_eq!(table(&catalog, "public.scratch").owner, ident("catalog_definer"));
}

/// Of those that a server has: what nobody but a superuser may set is worth a grant, and a word when it was granted.
#[tokio::test]
async fn the_parameters_that_decide_are_the_superusers() {
    let (_server, database) = nasty().await;
    let names = DECISIVE_PARAMETERS.map(|name| format!("'{name}'")).join(", ");
    let known = format!(
        "SELECT context || ' ' || count(*) FROM pg_settings WHERE name IN ({names}) GROUP BY context"
    );
    let count = if read(&database).await.server.version < 180_000 { 7 } else { 8 };
    assert_eq!(database.query_rows(&known).await, [format!("superuser {count}")]);
}

#[tokio::test]
async fn functions_are_told_apart_by_their_arguments() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let own: Vec<_> = catalog.functions.iter().filter(|function| function.extension.is_none()).collect();
    let lines = own.iter().map(|f| format!("{}({}) {:?} {:?}", f.name, f.arguments, f.kind, f.volatility));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    public.atomic() Function Stable
    public.on_ddl() Function Volatile
    public.stamp() Function Volatile
    public.stamp(n integer, VARIADIC rest text[]) Function Immutable
    public.total(integer) Aggregate Immutable
    public.work(INOUT x integer) Procedure Volatile
    ");
    let [atomic, _, trigger, plain, ..] = &own[..] else { panic!("six functions") };
    assert!(trigger.returns_trigger && !plain.returns_trigger);
    assert!(plain.security_definer && plain.leakproof && !atomic.security_definer && !atomic.leakproof);
    assert_snapshot!(list(&plain.settings), @r#"search_path=pg_catalog, "We""ird.Schema", work_mem=5MB"#);
    assert_eq!((plain.language.as_str(), plain.source.as_str()), ("sql", "SELECT n"));
    assert_snapshot!(atomic.source, @"RETURN (SELECT count(*) AS count FROM public.child)");
    assert_snapshot!(grants(&atomic.acl), @"postgres=EXECUTE/postgres");
}

#[tokio::test]
async fn what_belongs_to_an_extension_is_left_out_but_for_its_functions() {
    let (_server, database) = nasty().await;
    let before = read(&database).await;
    // Of the extensions that come with the server, this one has a view, a table function and a type of its own.
    database.execute("CREATE SCHEMA tools; CREATE EXTENSION pg_stat_statements SCHEMA tools").await;
    let after = read(&database).await;
    assert_eq!(list(after.views.keys()), list(before.views.keys()));
    assert!(after.server.extensions.contains_key("pg_stat_statements"));
    let theirs: Vec<_> = after.functions.iter().filter(|f| f.extension.is_some()).collect();
    assert!(theirs.iter().any(|f| f.name.to_string() == "tools.pg_stat_statements_reset"));
    assert!(theirs.iter().all(|f| f.extension.as_deref() == Some("pg_stat_statements")));
    assert!(theirs.iter().any(|f| f.kind == FunctionKind::Function && f.volatility == Volatility::Volatile));
}

#[tokio::test]
async fn sequences_publications_roles_and_settings_are_read() {
    let (_server, database) = nasty().await;
    let name = ident(database.name());
    database.execute(bastide_sql::sql!("ALTER DATABASE {} SET app.tenant = '1'", name).as_str()).await;
    let catalog = read(&database).await;
    let sequences = catalog.sequences.iter().map(|(name, sequence)| match &sequence.owned_by {
        Some((table, column)) => format!("{name} of {table}.{column}"),
        None => name.to_string(),
    });
    assert_snapshot!(list(sequences), @r#""We""ird.Schema"."Order_Id_seq" of "We""ird.Schema"."Order"."Id", public.child_id_seq of public.child.id, public.free_sequence"#);
    let publications =
        catalog.publications.iter().map(|p| format!("{} {} [{}]", p.name, p.all_tables, list(&p.tables)));
    assert_snapshot!(publications.collect::<Vec<_>>().join("\n"), @r#"
    "Some" false [public.child, public.events, public.events_1_old, public.events_rest]
    by_schema false ["We""ird.Schema"."Order"]
    everything true []
    "#);
    let watching = catalog.event_triggers.iter().map(|t| format!("{} {} {}", t.name, t.function, t.fires()));
    assert_snapshot!(list(watching), @"watch public.on_ddl true");
    assert_eq!(list(&catalog.server.database_settings), "app.tenant=1");
    assert_eq!(catalog.server.database_owner, ident("postgres"));

    let login = &catalog.roles[&ident("catalog_login")];
    assert!(login.login && login.inherit && !login.superuser && !login.bypass_rls);
    assert_eq!(list(&login.member_of), "catalog_group");
    assert_snapshot!(list(&login.settings), @r#"search_path="We""ird.Schema", public"#);
    assert!(catalog.roles[&ident("catalog_definer")].bypass_rls);
    assert_eq!(list(catalog.membership_closure(&ident("catalog_login"))), "catalog_login, catalog_group");
    assert_eq!(list(catalog.membership_closure(&ident("postgres"))), "postgres, pg_database_owner");
}

#[tokio::test]
async fn a_catalog_survives_being_written_down() {
    let (_server, database) = nasty().await;
    let catalog = read(&database).await;
    let text = serde_json::to_string(&catalog).unwrap();
    assert_eq!(serde_json::from_str::<Catalog>(&text).unwrap(), catalog);
}

/// A login that may do nothing at all reads the same, but for what it may not call.
#[tokio::test]
async fn a_login_without_rights_reads_the_same() {
    let (_server, database) = nasty().await;
    database
        .execute(
            "CREATE ROLE nobody LOGIN PASSWORD 'secret' NOINHERIT;
             REVOKE ALL ON SCHEMA public, \"We\"\"ird.Schema\" FROM PUBLIC;
             REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        )
        .await;
    let full = read(&database).await;
    let mut client = database.client_as("nobody", "secret").await;
    let narrow = bastide_catalog::read(&mut client).await.unwrap();
    assert_eq!(full.diff(&narrow), Vec::<String>::new());
    assert_eq!(narrow.server.current_user, ident("nobody"));
    assert_eq!(narrow.server.system_identifier, None);
    assert!(full.server.system_identifier.is_some());
}

/// Definitions are compared as text, so the session's own settings must not show in them; nor may reading leave traces.
#[tokio::test]
async fn the_sessions_settings_neither_show_nor_change() {
    let (_server, database) = nasty().await;
    let plain = read(&database).await;
    let mut client = database.client().await;
    client
        .batch_execute(
            "SET search_path = 'We\"ird.Schema', public; SET datestyle = 'German'; SET timezone = 'Asia/Tokyo';
             SET quote_all_identifiers = on; SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape';
             CREATE TEMP TABLE parent (a int); CREATE TEMP TABLE pg_class (oid int)",
        )
        .await
        .unwrap();
    let other = bastide_catalog::read(&mut client).await.unwrap();
    assert_eq!(plain.diff(&other), Vec::<String>::new());
    let row = client.query_one("SELECT current_setting('datestyle')", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "German, DMY");
}
