//! `sslmode` against a server with a certificate for `localhost`, issued by an authority made for the test.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
    time::Duration,
};

use bastide_connect::{ConnectError, Target};
use bastide_testkit::{Server, server};

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split_whitespace()).output();
    let output = output.expect("this test needs the `openssl` program");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.crt \
             -subj /CN={name} -days 2 -addext basicConstraints=critical,CA:TRUE"
        ),
    );
}

/// Switches TLS on, in a running server.
async fn with_tls(folder: &Path) -> Server {
    authority(folder, "authority");
    authority(folder, "stranger");
    openssl(
        folder,
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
    );
    fs::write(folder.join("san"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        folder,
        "x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 2 -extfile san -out server.crt",
    );
    let server = server().await;
    let cluster = server.postgres().data_dir().join("cluster");
    let owner = fs::metadata(&cluster).unwrap();
    for file in ["server.crt", "server.key"] {
        let path = cluster.join(file);
        fs::copy(folder.join(file), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    // SCRAM over TLS is bound to the certificate, which the test's own short cut would hide.
    let hba = cluster.join("pg_hba.conf");
    let rules = fs::read_to_string(&hba).unwrap().replace(" password", " scram-sha-256");
    fs::write(&hba, rules).unwrap();
    let db = server.existing("postgres");
    db.execute("ALTER SYSTEM SET ssl = on").await;
    db.execute("SELECT pg_reload_conf()").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    server
}

#[tokio::test]
async fn modes() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_tls(folder.path()).await;
    let (port, password) = (server.postgres().port(), server.postgres().password());
    let connect = async |host: &str, mode: &str, root: Option<&str>| {
        let root = root.map(|root| format!("sslrootcert='{}'", folder.path().join(root).display()));
        let target = format!(
            "host={host} port={port} user=postgres password={password} sslmode={mode} {}",
            root.unwrap_or_default()
        );
        let connected = Target::parse(&target).unwrap().connect("test").await?;
        let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok::<bool, ConnectError>(connected.query_one(encrypted, &[]).await.unwrap().get(0))
    };
    let problem = |result: Result<bool, ConnectError>| match result {
        Err(ConnectError::Tls { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    let (ours, other) = (Some("authority.crt"), Some("stranger.crt"));

    assert!(!connect("localhost", "disable", None).await.unwrap());
    assert!(connect("localhost", "prefer", None).await.unwrap());
    assert!(connect("127.0.0.1", "require", None).await.unwrap());
    assert!(connect("127.0.0.1", "verify-ca", ours).await.unwrap());
    assert!(connect("localhost", "verify-full", ours).await.unwrap());

    assert!(problem(connect("127.0.0.1", "verify-full", ours).await).contains("sslmode=verify-ca"));
    assert!(problem(connect("localhost", "verify-ca", other).await).contains("sslrootcert"));
    assert!(problem(connect("localhost", "verify-full", None).await).contains("sslrootcert"));
    // As libpq: an authority named makes `require` check the chain.
    assert!(problem(connect("localhost", "require", other).await).contains("sslrootcert"));
    assert!(problem(connect("localhost", "verify-ca", Some("absent.crt")).await).contains("absent.crt"));

    // Passwords are judged under TLS too.
    let wrong = format!("host=localhost port={port} user=postgres password=x sslmode=require");
    let error = Target::parse(&wrong).unwrap().connect("test").await.err().unwrap();
    assert!(matches!(error, ConnectError::WrongPassword { .. }), "{error}");
    let none = format!("host=localhost port={port} user=postgres sslmode=require");
    let error = Target::parse(&none).unwrap().connect("test").await.err().unwrap();
    assert!(matches!(error, ConnectError::NoPassword { .. }), "{error}");
}
