//! What one tenant can see of another through the door: nothing, whatever is dropped, broken or malformed.

mod notes;

use std::{
    future::Future,
    task::{Context, Waker},
    time::Duration,
};

use bastide_tenancy::{Error, Kind, Query, TenantId};
use notes::{ADD, CONTEXT, NOTES, SLOW, assert_nothing_open, assert_own, pool, read_whole, small, tenant};

#[tokio::test]
async fn each_tenant_reads_its_own_rows_on_one_connection() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    for number in [1, 2, 3, 1, 2] {
        read_whole(&pool, number).await;
    }
    assert!(pool.read(&tenant(4), &NOTES, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_context_does_not_outlive_the_transaction() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    let context = async || pool.lookup(&CONTEXT, &[]).await.unwrap()[0].get::<_, Option<String>>("tenant");
    read_whole(&pool, 1).await;
    assert_eq!(context().await, None);
    let mut tx = pool.begin(&tenant(2)).await.unwrap();
    assert_own(&tx.query(&NOTES, &[]).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(context().await, None);
    pool.begin(&tenant(2)).await.unwrap().rollback().await.unwrap();
    assert_eq!(context().await, None);
}

#[tokio::test]
async fn writes_stay_in_their_tenant() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    let mut tx = pool.begin(&tenant(1)).await.unwrap();
    assert_eq!(tx.execute(&ADD, &[&1_i32, &"mine"]).await.unwrap(), 1);
    let error = tx.execute(&ADD, &[&2_i32, &"planted"]).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(denied) if denied.code == "42501"), "{error}");
    assert!(matches!(tx.query(&NOTES, &[]).await, Err(Error::Aborted)), "a failed transaction says so");
    assert!(
        matches!(tx.commit().await, Err(Error::Aborted)),
        "COMMIT would have answered ROLLBACK without an error"
    );
    assert_eq!(database.query_one_text("SELECT count(*) FROM public.\"Notes\"").await, "300");

    const MOVE: Query = Query::new("UPDATE public.\"Notes\" SET tenant_id = 2", &[]);
    const WIPE: Query = Query::new("DELETE FROM public.\"Notes\" WHERE tenant_id = 2", &[]);
    let mut tx = pool.begin(&tenant(1)).await.unwrap();
    assert_eq!(tx.execute(&WIPE, &[]).await.unwrap(), 0);
    assert!(matches!(tx.execute(&MOVE, &[]).await, Err(Error::Denied(_))));
    drop(tx);
    let error = pool.read(&tenant(1), &ADD, &[&1_i32, &"by a read"]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Database(error) if error.code == "25006"),
        "reads are READ ONLY: {error}"
    );
    read_whole(&pool, 2).await;
}

/// With plain contexts nobody clears a session between tenants: what docs/threat-model.md does not claim.
#[tokio::test]
async fn what_injected_sql_keeps_in_a_plain_session_is_the_next_tenants() {
    const KEEP: Query = Query::new("SELECT public.keep()", &[]);
    const KEPT: Query = Query::new("SELECT tenant_id FROM public.kept() AS tenant_id", &[]);
    let (_server, database) = notes::database().await;
    database
        .execute(
            "CREATE FUNCTION public.keep() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
                EXECUTE 'DECLARE kept CURSOR WITH HOLD FOR SELECT tenant_id FROM public.\"Notes\"'; END $$;
             CREATE FUNCTION public.kept() RETURNS SETOF integer LANGUAGE plpgsql AS $$ DECLARE kept refcursor := 'kept'; one integer; BEGIN
                LOOP FETCH kept INTO one; EXIT WHEN NOT FOUND; RETURN NEXT one; END LOOP; END $$",
        )
        .await;
    let pool = pool(&database, small(1)).await;
    let mut tx = pool.begin(&tenant(1)).await.unwrap();
    tx.query(&KEEP, &[]).await.unwrap();
    tx.commit().await.unwrap();
    let kept = pool.read(&tenant(2), &KEPT, &[]).await.unwrap();
    assert_eq!(kept.len(), 100);
    assert_own(&kept, 1);
    // It is what the first one read; the second's own statements are the second's all the same.
    read_whole(&pool, 2).await;
}

#[tokio::test]
async fn an_error_inside_leaves_a_clean_connection() {
    const BROKEN: Query = Query::new("SELECT 1 / (id - id) FROM public.\"Notes\"", &[]);
    const CHAINED: Query =
        Query::new("INSERT INTO public.\"Notes\" (tenant_id, body, next_id) VALUES (1, 'x', -1)", &[]);
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    let pid = async || pool.lookup(&CONTEXT, &[]).await.unwrap()[0].get::<_, i32>("pid");
    let before = pid().await;
    let error = pool.read(&tenant(1), &BROKEN, &[]).await.unwrap_err();
    assert!(matches!(&error, Error::Database(error) if error.code == "22012"), "{error}");
    let error = pool.read(&tenant(1), &ADD, &[&1_i32]).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch(_)), "a wrong number of parameters is an error, not a panic");
    read_whole(&pool, 2).await;
    assert_eq!(pid().await, before, "an error that the server answered costs no connection");

    let mut tx = pool.begin(&tenant(1)).await.unwrap();
    assert_eq!(tx.execute(&CHAINED, &[]).await.unwrap(), 1);
    let error = tx.commit().await.unwrap_err();
    assert!(
        matches!(&error, Error::Database(error) if error.code == "23503"),
        "the constraint was deferred: {error}"
    );
    read_whole(&pool, 2).await;
    assert_nothing_open(&database).await;
}

#[tokio::test]
async fn a_malformed_tenant_reads_nothing_and_costs_nothing() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    let pid = async || pool.lookup(&CONTEXT, &[]).await.unwrap()[0].get::<_, i32>("pid");
    let before = pid().await;
    for text in ["x", "1; SELECT 1", "1' OR '1'='1", "99999999999999999999", "1 2", "🏰", "1.5"] {
        let malformed = TenantId::new(text).unwrap();
        assert!(matches!(pool.read(&malformed, &NOTES, &[]).await, Err(Error::MalformedTenant)), "{text}");
        assert!(matches!(pool.begin(&malformed).await, Err(Error::MalformedTenant)), "{text}");
        read_whole(&pool, 1).await;
    }
    assert_eq!(pid().await, before);
}

/// Polls a future `times` times, then drops it. Between two polls the reactor gets time to bring an answer.
async fn poll_and_drop<F: Future>(future: F, times: u32, pause: Duration) -> bool {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        if future.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        tokio::time::sleep(pause).await;
    }
    false
}

#[tokio::test]
async fn a_read_dropped_at_any_point_leaks_nothing() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    let (mut dropped, mut finished) = (0, 0);
    for round in 0..120_u32 {
        let pause = Duration::from_micros(u64::from(round % 10) * 150);
        let query = if round % 3 == 0 { &SLOW } else { &NOTES };
        if poll_and_drop(pool.read(&tenant(1), query, &[]), 1 + round % 12, pause).await {
            finished += 1;
        } else {
            dropped += 1;
        }
        let next = 2 + i32::from(round % 2 == 0);
        read_whole(&pool, next).await;
        assert_eq!(pool.lookup(&CONTEXT, &[]).await.unwrap()[0].get::<_, Option<String>>("tenant"), None);
    }
    assert!(
        dropped > 30 && finished > 5,
        "the points must be spread: {dropped} dropped, {finished} finished"
    );
    assert_nothing_open(&database).await;
}

#[tokio::test]
async fn a_transaction_dropped_at_any_point_writes_and_leaks_nothing() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    for round in 0..60_u32 {
        let pause = Duration::from_micros(u64::from(round % 7) * 150);
        let work = async {
            let mut tx = pool.begin(&tenant(1)).await.unwrap();
            tx.execute(&ADD, &[&1_i32, &"never committed"]).await.unwrap();
            assert_own(&tx.query(&NOTES, &[]).await.unwrap(), 1);
            std::future::pending::<()>().await;
        };
        assert!(!poll_and_drop(work, 1 + round % 15, pause).await);
        read_whole(&pool, 2).await;
    }
    assert_nothing_open(&database).await;
    read_whole(&pool, 1).await;
}

#[tokio::test]
async fn a_statement_dropped_inside_a_transaction_spoils_its_commit() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    let mut tx = pool.begin(&tenant(1)).await.unwrap();
    tx.execute(&ADD, &[&1_i32, &"x"]).await.unwrap();
    assert!(!poll_and_drop(tx.query(&SLOW, &[]), 1, Duration::ZERO).await);
    assert!(matches!(tx.commit().await, Err(Error::Aborted)));
    read_whole(&pool, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tenants_on_few_connections_with_drops_in_between() {
    let (_server, database) = notes::database().await;
    let pool = pool(&database, small(3)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..12_u32 {
        let pool = pool.clone();
        tasks.spawn(async move {
            for round in 0..40_u32 {
                let number = 1 + i32::try_from((worker + round) % 3).unwrap();
                let after = Duration::from_micros(u64::from((worker * 7 + round * 13) % 40) * 100);
                if let Ok(rows) = tokio::time::timeout(after, pool.read(&tenant(number), &NOTES, &[])).await {
                    let rows = rows.unwrap();
                    assert_eq!(rows.len(), 100);
                    assert_own(&rows, number);
                }
            }
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap();
    }
    for number in [1, 2, 3] {
        read_whole(&pool, number).await;
    }
    assert_nothing_open(&database).await;
}

#[tokio::test]
async fn an_altered_table_or_a_restarted_server_costs_one_more_try() {
    const STAR: Query = Query::new("SELECT * FROM public.\"Notes\" WHERE id < $1", &[Kind::Int8]);
    let (mut server, database) = notes::database().await;
    let pool = pool(&database, small(1)).await;
    assert_own(&pool.read(&tenant(1), &STAR, &[&50_i64]).await.unwrap(), 1);
    database.execute("ALTER TABLE public.\"Notes\" ADD COLUMN extra integer").await;
    let rows = pool.read(&tenant(1), &STAR, &[&50_i64]).await.expect("0A000 is retried");
    assert_eq!(rows[0].len(), 5);
    server.crash();
    server.restart().await;
    read_whole(&pool, 2).await;
}
