//! The migration's state as server-sent events, over real connections.

mod site;

use std::{net::SocketAddr, time::Duration};

use axum::http::StatusCode;
use bastide_server::AppConfig;
use serde_json::{Value, json};
use site::Site;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

const STATUS: &str = "/api/v1/system/migration-status";
const EVENTS: &str = "/api/v1/system/migration-status/events";

struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn serving(site: &Site) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(bastide_server::serve(listener, site.app.clone(), async move {
        stopped.await.unwrap();
    }));
    Serving { address, stop, server }
}

fn often() -> AppConfig {
    AppConfig {
        migration_interval: Duration::from_millis(50),
        migration_listeners: 2,
        grace: Duration::from_secs(60),
        ..AppConfig::default()
    }
}

struct Stream(Lines<BufReader<TcpStream>>);

impl Stream {
    async fn open(address: SocketAddr, path: &str, accept: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(BufReader::new(stream).lines())
    }

    /// The status line and the headers.
    async fn head(&mut self) -> String {
        let mut head = String::new();
        while let Some(line) = self.0.next_line().await.unwrap().filter(|line| !line.is_empty()) {
            head.push_str(&line.to_lowercase());
            head.push('\n');
        }
        head
    }

    /// The next event's name and data; what frames the chunks is passed over.
    async fn event(&mut self) -> (String, Value) {
        let mut name = String::new();
        while let Some(line) = self.0.next_line().await.unwrap() {
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
        panic!("the stream ended");
    }
}

#[tokio::test]
async fn each_change_of_the_run_is_an_event_and_says_no_more_than_the_status() {
    let site = Site::with(often()).await;
    let serving = serving(&site).await;
    let mut by_path = Stream::open(serving.address, EVENTS, "*/*").await;
    let mut by_accept = Stream::open(serving.address, STATUS, "text/event-stream").await;
    let once = site.get(STATUS, &[]).await.json();
    assert_eq!(
        once.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["ended_at", "phase", "started_at", "state", "steps_done", "steps_total"],
        "no SQL, no error, no name of a table"
    );
    for stream in [&mut by_path, &mut by_accept] {
        let head = stream.head().await;
        assert!(
            head.starts_with("http/1.1 200") && head.contains("content-type: text/event-stream"),
            "{head}"
        );
        assert!(head.contains("x-accel-buffering: no") && head.contains("x-content-type-options"), "{head}");
        assert_eq!(stream.event().await, ("status".to_owned(), once.clone()));
    }
    site.database.execute("UPDATE bastide.journal SET state = 'done'").await;
    for stream in [&mut by_path, &mut by_accept] {
        let (name, now) = stream.event().await;
        assert_eq!((name.as_str(), &now["steps_done"]), ("status", &json!(4)));
    }
    site.database.execute("UPDATE bastide.run SET state = 'rolling_back'").await;
    assert_eq!(by_path.event().await.1["state"], "rolling_back");
}

#[tokio::test]
async fn places_are_bounded_and_given_back() {
    let site = Site::with(often()).await;
    let serving = serving(&site).await;
    let mut first = Stream::open(serving.address, EVENTS, "*/*").await;
    let mut second = Stream::open(serving.address, EVENTS, "*/*").await;
    assert!(first.head().await.starts_with("http/1.1 200"));
    assert!(second.head().await.starts_with("http/1.1 200"));
    let refused = site.get(EVENTS, &[]).await;
    assert_eq!(refused.problem(503), "busy");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(site.get(STATUS, &[]).await.status, StatusCode::OK, "asking once needs no place");
    drop(first);
    loop {
        let mut third = Stream::open(serving.address, EVENTS, "*/*").await;
        if third.head().await.starts_with("http/1.1 200") {
            assert_eq!(third.event().await.0, "status");
            break;
        }
        // The server notices that a client is gone when it next has something for it.
        site.database.execute("UPDATE bastide.run SET started_at = clock_timestamp()").await;
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_an_event_and_so_is_its_return() {
    let mut site = Site::with(often()).await;
    let serving = serving(&site).await;
    let mut stream = Stream::open(serving.address, EVENTS, "*/*").await;
    stream.head().await;
    assert_eq!(stream.event().await.0, "status");
    site.server.crash();
    let (name, data) = stream.event().await;
    assert_eq!((name.as_str(), data), ("unavailable", json!({"code": "database_unavailable"})));
    site.server.restart().await;
    assert_eq!(stream.event().await.0, "status");
}

#[tokio::test]
async fn streams_end_when_the_server_does() {
    let site = Site::with(often()).await;
    let serving = serving(&site).await;
    let mut stream = Stream::open(serving.address, EVENTS, "*/*").await;
    stream.head().await;
    stream.event().await;
    serving.stop.send(()).unwrap();
    let mut rest = String::new();
    stream.0.into_inner().read_to_string(&mut rest).await.unwrap();
    // Long before the grace that requests have is over.
    tokio::time::timeout(Duration::from_secs(30), serving.server).await.unwrap().unwrap().unwrap();
}
