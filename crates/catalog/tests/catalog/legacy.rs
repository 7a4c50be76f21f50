//! Databases users have sent: what is read of them, against what their own catalogs count.

use bastide_catalog::Fingerprint;

use super::read;

/// Tables, foreign keys, columns, views, functions of our reading.
async fn counts(name: &str) -> Option<[usize; 5]> {
    let (server, database) = bastide_testkit::legacy(name).await?;
    let catalog = read(&database).await;
    let counts = [
        catalog.tables.len(),
        catalog.tables.values().map(|table| table.foreign_keys.len()).sum(),
        catalog.tables.values().map(|table| table.columns.len()).sum(),
        catalog.views.len(),
        catalog.functions.len(),
    ];
    let theirs = database
        .query_one_text(
            "SELECT concat_ws(' ',
                (SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'),
                (SELECT count(*) FROM information_schema.table_constraints WHERE constraint_type = 'FOREIGN KEY'),
                (SELECT count(*) FROM information_schema.columns c JOIN information_schema.tables t
                     USING (table_schema, table_name) WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'),
                (SELECT count(*) FROM information_schema.views WHERE table_schema = 'public')
                    + (SELECT count(*) FROM pg_matviews),
                (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace))",
        )
        .await;
    assert_eq!(counts.map(|count| count.to_string()).join(" "), theirs, "{name}");

    let again = read(&database).await;
    assert_eq!(Fingerprint::of(&catalog), Fingerprint::of(&again));
    drop(server);
    Some(counts)
}

#[tokio::test]
async fn sakila() {
    let Some([tables, foreign_keys, _, views, functions]) = counts("sakila").await else { return };
    assert_eq!((tables, foreign_keys, views, functions), (21, 40, 7, 10));
}

#[tokio::test]
async fn northwind() {
    let Some([tables, foreign_keys, ..]) = counts("northwind").await else { return };
    assert_eq!((tables, foreign_keys), (14, 13));
}

#[tokio::test]
async fn chinook() {
    let Some([tables, foreign_keys, ..]) = counts("chinook").await else { return };
    assert_eq!((tables, foreign_keys), (11, 11));
}
