//! `serve` from outside: what the operators' token opens.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
};

use crate::{
    bastide::{Bastide, Ran},
    validate,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Ended when the test is done.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn begin(bastide: &Bastide, app_url: &str, token: Option<&str>) -> Self {
        let mut command = bastide.command();
        command.args(["--app-url", app_url, "serve", "--listen", "127.0.0.1:0"]);
        command.envs(token.map(|token| ("BASTIDE_OPS_TOKEN", token)));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let said = lines.by_ref().find_map(|line| line.split_once("http://").map(|(_, at)| at.to_owned()));
        // Nobody is to wait for room in a pipe.
        std::thread::spawn(move || lines.count());
        Self { child, address: said.expect("it says where it serves") }
    }

    /// The status and the body.
    fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let authorization =
            token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\n{authorization}connection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_isolation_are_for_whoever_has_the_token() {
    let (_server, db, bastide) = validate::cut_over().await;
    let password = std::fs::read_to_string(bastide.path().join("bastide_app.password")).unwrap();
    let app_url = db.url_as("bastide_app", password.trim());
    let places = ["/metrics", "/api/v1/system/isolation"];

    let serving = Serving::begin(&bastide, &app_url, Some(TOKEN));
    for place in places {
        assert_eq!(serving.get(place, None).0, 401, "{place}");
        assert_eq!(serving.get(place, Some(&TOKEN[1..])).0, 401, "{place}");
        assert_eq!(serving.get(place, Some(TOKEN)).0, 200, "{place}");
    }
    let (_, metrics) = serving.get(places[0], Some(TOKEN));
    assert!(metrics.contains("\nbastide_isolation_shut 0\n"), "{metrics}");
    let (_, seen) = serving.get(places[1], Some(TOKEN));
    // Without `0003_watch` there is no canary to prove it by.
    assert!(seen.contains("\"serving\":true") && seen.contains("\"standing\":\"unproved\""), "{seen}");
    drop(serving);

    let without = Serving::begin(&bastide, &app_url, None);
    for place in places {
        assert_eq!(without.get(place, Some(TOKEN)).0, 404, "{place}");
        assert_eq!(without.get(place, None).0, 404, "{place}");
    }
    drop(without);

    let mut weak = bastide.command();
    weak.args(["--app-url", &app_url, "serve", "--listen", "127.0.0.1:0"]).env("BASTIDE_OPS_TOKEN", "short");
    let ran = Ran::of(weak.output().unwrap()).expect(2);
    assert!(ran.stderr.contains("openssl rand -hex 32"), "{}", ran.stderr);
}
