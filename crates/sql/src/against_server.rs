//! Quoting against the only judge of it: whatever text goes in must come back from a server as it was.

use bastide_testkit::server;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, SimpleQueryMessage, error::SqlState};

use crate::{Ident, Literal, LockMode, QualifiedName, Sql, join, sql};

/// Text of what could end a quotation, start a comment or stand for something else, among letters of any script.
fn awkward() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => r#"["'\\$;{}%?:&|@\n\r\t ./-]"#,
        2 => prop::sample::select(vec![
            "''", "\"\"", "\\'", "\\\\", "$$", "$1", "$x$", "--", "/*", "*/", "{}", "E'", "U&'", "\\u0041", "\\000",
            "'; DROP TABLE t; --", "NULL", "select", "\u{feff}", "\u{202e}", "’", "＇",
        ]).prop_map(str::to_owned),
        2 => "[a-zA-Z0-9_]{1,8}",
        1 => any::<char>().prop_filter("the server takes no NUL", |c| *c != '\0').prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn ident() -> impl Strategy<Value = Ident> {
    awkward().prop_filter_map("no name", |text| {
        let mut end = text.len().min(63);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Ident::new(&text[..end]).ok()
    })
}

/// Runs `property` on as many values as one second allows for, over one connection.
fn check<S: Strategy>(strategy: S, property: impl AsyncFn(&Client, S::Value)) {
    let runtime = Runtime::new().unwrap();
    let (server, client) = runtime.block_on(async {
        let server = server().await;
        let client = server.database("quoting").await.client().await;
        (server, client)
    });
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        runtime.block_on(property(&client, value));
        Ok(())
    });
    drop(server);
    outcome.unwrap();
}

/// The one value of the one row, over the protocol that takes several statements.
async fn one(client: &Client, statement: &Sql) -> Option<String> {
    let messages = client
        .simple_query(statement.as_str())
        .await
        .unwrap_or_else(|error| panic!("{error:?} in {statement}"));
    let rows: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect();
    assert_eq!(rows.len(), 1, "{statement}");
    rows[0].get(0).map(str::to_owned)
}

#[test]
fn a_literal_comes_back_as_it_was() {
    check(awkward(), async |client, text| {
        for setting in ["on", "off"] {
            let set = sql!("SET standard_conforming_strings = {}", Literal::text(setting));
            client.batch_execute(set.as_str()).await.unwrap();
            let literal = Literal::text(&text);
            // No space before it: a literal must not join the word in front.
            assert_eq!(one(client, &sql!("SELECT{}", literal)).await.as_ref(), Some(&text));
            assert_eq!(one(client, &sql!("SELECT({}) || {}", literal, literal)).await, Some(text.repeat(2)));
        }
    });
}

#[test]
fn a_literal_inside_a_literal_comes_back_as_it_was() {
    check(awkward(), async |client, text| {
        let body = sql!("BEGIN PERFORM set_config('quoting.text', {}, false); END", Literal::text(&text));
        client.batch_execute(sql!("DO {}", Literal::text(body.as_str())).as_str()).await.unwrap();
        assert_eq!(one(client, &sql!("SELECT current_setting('quoting.text')")).await, Some(text));
    });
}

#[test]
fn null_is_null() {
    check(Just(()), async |client, ()| {
        assert_eq!(one(client, &sql!("SELECT {}", Literal::null())).await, None)
    });
}

/// Postgres cannot hold NUL. The client refuses it before anything is sent, so no statement is cut off in its middle.
#[test]
fn a_literal_with_nul_never_reaches_the_server() {
    check(awkward(), async |client, text| {
        let statement = sql!("SELECT {}", Literal::text(text + "\0'; SELECT 1"));
        let error = client.batch_execute(statement.as_str()).await.unwrap_err();
        assert!(error.as_db_error().is_none(), "{error:?}");
        assert_eq!(one(client, &sql!("SELECT 1")).await.as_deref(), Some("1"));
    });
}

#[test]
fn a_name_comes_back_as_it_was() {
    check(ident(), async |client, name| {
        let statement = client.prepare(sql!("SELECT 1 AS {}", name).as_str()).await.unwrap();
        assert_eq!(statement.columns()[0].name(), name.as_str());
    });
}

#[test]
fn a_table_is_made_under_the_names_it_was_given() {
    check((ident(), ident(), prop::collection::vec(ident(), 2)), async |client, (schema, table, columns)| {
        if schema.as_str().starts_with("pg_") || columns[0] == columns[1] || is_system_column(&columns) {
            return;
        }
        let name = QualifiedName::new(schema, table);
        let create = sql!(
            "BEGIN; CREATE SCHEMA {}; CREATE TABLE {} ({})",
            name.schema,
            name,
            join(columns.iter().map(|column| sql!("{} int", column)), ", ")
        );
        client.batch_execute(create.as_str()).await.unwrap_or_else(|error| panic!("{error:?} in {create}"));
        let find = "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
                    JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
                    WHERE nspname = $1 AND relname = $2 AND attnum > 0";
        let found = client.query_one(find, &[&name.schema.as_str(), &name.name.as_str()]).await.unwrap();
        let names: Vec<&str> = columns.iter().map(Ident::as_str).collect();
        assert_eq!(found.get::<_, Vec<String>>(0), names);
        // The same name read as text by the server, as our tables and error messages hold it.
        let by_text = sql!(
            "SELECT {}::regclass = {}::regclass",
            Literal::text(sql!("{}", name).as_str()),
            Literal::text(name.to_string())
        );
        assert_eq!(one(client, &by_text).await.as_deref(), Some("t"));
        client.batch_execute("ROLLBACK").await.unwrap();
    });
}

fn is_system_column(columns: &[Ident]) -> bool {
    let system = ["tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"];
    columns.iter().any(|column| system.contains(&column.as_str()))
}

#[test]
fn a_name_is_read_back_from_what_people_are_shown() {
    proptest!(|(schema in ident(), name in ident())| {
        let name = QualifiedName::new(schema, name);
        prop_assert_eq!(name.to_string().parse::<QualifiedName>(), Ok(name));
    });
}

#[test]
fn a_derived_name_is_one_the_server_does_not_shorten() {
    check(ident(), async |client, stem| {
        let name = Ident::derived(stem.as_str(), "_bastide_tenant_key");
        assert_eq!(Ident::new(name.as_str()).as_ref(), Ok(&name));
        let statement = client.prepare(sql!("SELECT 1 AS {}", name).as_str()).await.unwrap();
        assert_eq!(statement.columns()[0].name(), name.as_str());
    });
}

#[tokio::test]
async fn lock_modes_block_writers_when_they_say_so() {
    let server = server().await;
    let database = server.database("locks").await;
    database.execute("CREATE TABLE t (x int)").await;
    let (mut holder, mut writer) = (database.client().await, database.client().await);
    let modes = [
        LockMode::AccessShare,
        LockMode::RowShare,
        LockMode::RowExclusive,
        LockMode::ShareUpdateExclusive,
        LockMode::Share,
        LockMode::ShareRowExclusive,
        LockMode::Exclusive,
        LockMode::AccessExclusive,
    ];
    assert!(modes.is_sorted());
    for mode in modes {
        let held = holder.transaction().await.unwrap();
        held.batch_execute(sql!("LOCK TABLE t IN {} MODE", mode).as_str()).await.unwrap();
        let write = writer.transaction().await.unwrap();
        let written = write.batch_execute("LOCK TABLE t IN ROW EXCLUSIVE MODE NOWAIT").await;
        let blocked = written.is_err_and(|error| error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE));
        assert_eq!(blocked, mode.blocks_writers(), "{mode}");
        write.rollback().await.unwrap();
        held.rollback().await.unwrap();
    }
}
