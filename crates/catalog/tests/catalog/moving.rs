//! Reading while others change the schema, and what is said when it cannot be read.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use insta::assert_snapshot;

use super::{nasty, read};

/// The functions that render definitions look past the snapshot, at objects that may be gone by then.
#[tokio::test]
async fn a_schema_that_moves_is_read_whole() {
    let (_server, database) = nasty().await;
    let stop = Arc::new(AtomicBool::new(false));
    let others = tokio::spawn({
        let (stop, database) = (Arc::clone(&stop), database.clone());
        async move {
            let client = database.client().await;
            while !stop.load(Ordering::Relaxed) {
                client
                    .batch_execute(
                        "CREATE TABLE public.brief (a int DEFAULT 1 PRIMARY KEY, b int UNIQUE REFERENCES public.brief);
                         CREATE VIEW public.glimpse AS SELECT a FROM public.brief",
                    )
                    .await
                    .unwrap();
                client.batch_execute("DROP VIEW public.glimpse; DROP TABLE public.brief").await.unwrap();
            }
        }
    });
    let mut client = database.client().await;
    for _ in 0..60 {
        let catalog = bastide_catalog::read(&mut client).await.unwrap_or_else(|error| panic!("{error}"));
        if let Some(brief) = catalog.tables.get(&"public.brief".parse().unwrap()) {
            assert_eq!((brief.columns.len(), brief.keys.len(), brief.foreign_keys.len()), (2, 2, 1));
            assert!(brief.columns[0].default.is_some());
        }
    }
    stop.store(true, Ordering::Relaxed);
    others.await.unwrap();
}

#[tokio::test]
async fn an_error_says_what_could_not_be_read() {
    let (_server, database) = nasty().await;
    let mut holder = database.client().await;
    let locked = holder.transaction().await.unwrap();
    locked.batch_execute("LOCK TABLE public.child").await.unwrap();
    let mut client = database.client().await;
    client.batch_execute("SET lock_timeout = '20ms'").await.unwrap();
    let error = bastide_catalog::read(&mut client).await.unwrap_err();
    assert_snapshot!(error, @"could not read tables and views: canceling statement due to lock timeout");

    locked.rollback().await.unwrap();
    bastide_catalog::read(&mut client).await.unwrap();

    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    holder.execute("SELECT pg_terminate_backend($1, 5000)", &[&pid]).await.unwrap();
    let error = bastide_catalog::read(&mut client).await.unwrap_err();
    assert_snapshot!(error, @"could not read the catalog: connection closed");
}

#[tokio::test]
async fn two_readings_of_one_schema_are_equal() {
    let (_server, database) = nasty().await;
    assert_eq!(read(&database).await, read(&database).await);
}
