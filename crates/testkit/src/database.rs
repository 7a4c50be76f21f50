//! One database of a test's server.

use std::path::{Path, PathBuf};

use bastide_postgres::Installation;
use bastide_sql::{Ident, Sql, sql};
use tokio::process::Command;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, error::SqlState};

/// A database, and the superuser's way into it. Every call opens a connection of its own and closes it again.
#[derive(Clone)]
pub struct Database {
    name: String,
    port: u16,
    password: String,
    installation: Installation,
}

impl Database {
    pub(crate) fn new(postgres: &bastide_postgres::Server, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            port: postgres.port(),
            password: postgres.password().to_owned(),
            installation: postgres.installation().clone(),
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For the superuser `postgres`, over TCP.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_as("postgres", &self.password)
    }

    /// For a role the test made.
    #[must_use]
    pub fn url_as(&self, role: &str, password: &str) -> String {
        let (role, password, name) = (encoded(role), encoded(password), encoded(&self.name));
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{name}", self.port)
    }

    /// A connection of the superuser.
    ///
    /// # Panics
    /// When it cannot be had.
    pub async fn client(&self) -> Client {
        self.client_as("postgres", &self.password).await
    }

    /// A connection of a role the test made.
    ///
    /// # Panics
    /// When it cannot be had.
    pub async fn client_as(&self, role: &str, password: &str) -> Client {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname(&self.name).user(role).password(password);
        config.application_name("bastide-testkit");
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected
            .unwrap_or_else(|error| panic!("cannot connect to {} as {role}: {}", self.name, told(&error)));
        // Ends with the client, or with the server when a test kills it; either way the client reports it.
        tokio::spawn(connection);
        client
    }

    /// Runs statements; several, separated by semicolons, run in one transaction unless they say otherwise.
    ///
    /// # Panics
    /// With the server's message when one fails.
    pub async fn execute(&self, statements: &str) {
        let done = self.client().await.batch_execute(statements).await;
        done.unwrap_or_else(|error| panic!("{}\nin {}: {}", told(&error), self.name, shortened(statements)));
    }

    /// The first column of the only row, as text; NULL reads as an empty string, as in `psql -At`.
    ///
    /// # Panics
    /// With the server's message when the query fails, or when it gives another number of rows.
    pub async fn query_one_text(&self, query: &str) -> String {
        let mut rows = self.query_rows(query).await;
        assert_eq!(rows.len(), 1, "one row was expected of: {}", shortened(query));
        rows.remove(0)
    }

    /// Every row as text, columns separated by `|`, as `psql -At` prints them.
    ///
    /// # Panics
    /// With the server's message when the query fails.
    pub async fn query_rows(&self, query: &str) -> Vec<String> {
        let done = self.client().await.simple_query(query).await;
        let messages =
            done.unwrap_or_else(|error| panic!("{}\nin {}: {}", told(&error), self.name, shortened(query)));
        let text = |row: &tokio_postgres::SimpleQueryRow| {
            (0..row.len()).map(|column| row.get(column).unwrap_or_default()).collect::<Vec<_>>().join("|")
        };
        messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(text(row)),
                _ => None,
            })
            .collect()
    }

    /// `pg_dump --schema-only` without schema `bastide`, by the server's own pg_dump; equal for equal schemas.
    ///
    /// # Panics
    /// When pg_dump fails.
    pub async fn schema_dump(&self) -> String {
        let dump = self.tool("pg_dump", &["--schema-only", "--exclude-schema=bastide"]).await;
        // Newer minor versions guard their dumps by a token that differs every time.
        let random = |line: &str| line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ");
        dump.lines().filter(|line| !random(line)).flat_map(|line| [line, "\n"]).collect()
    }

    /// Loads a dump made by `pg_dump --format=custom`: a path, or the name of one in
    /// [`legacy_data`](crate::legacy_data).
    ///
    /// # Panics
    /// When there is no such dump or pg_restore fails.
    pub async fn restore(&self, dump: impl AsRef<Path>) {
        let dump = dump.as_ref();
        let path = if dump.components().count() > 1 || dump.extension().is_some() {
            dump.to_owned()
        } else {
            let named = dump.to_string_lossy();
            crate::legacy_dump(&named).unwrap_or_else(|| panic!("no dump named {named}"))
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        self.tool("pg_restore", &["--no-owner", "--exit-on-error", &path.to_string_lossy()]).await;
    }

    /// Runs a client program of the server's own version against this database; returns what it printed.
    ///
    /// # Panics
    /// With what it said when it fails.
    pub async fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let program: PathBuf = self.installation.tool(name);
        let mut command = Command::new(&program);
        command.envs([("PGHOST", "127.0.0.1"), ("PGUSER", "postgres"), ("PGPASSWORD", &self.password)]);
        command.env("PGPORT", self.port.to_string()).env("PGAPPNAME", "bastide-testkit");
        command.args(arguments).arg("--dbname").arg(&self.name).kill_on_drop(true);
        let output = command.output().await;
        let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
        assert!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// CREATE DATABASE. Retried while the original is in use: a connection that was just closed lingers a moment.
    pub(crate) async fn create(&self, name: &str, original: Option<&str>) {
        let ident = |name: &str| Ident::new(name).unwrap_or_else(|error| panic!("{error}"));
        let statement: Sql = match original {
            None => sql!("CREATE DATABASE {}", ident(name)),
            Some(original) => sql!("CREATE DATABASE {} TEMPLATE {}", ident(name), ident(original)),
        };
        let client = self.client().await;
        for _ in 0..200 {
            match client.batch_execute(statement.as_str()).await {
                Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                done => return done.unwrap_or_else(|error| panic!("{}: {statement}", told(&error))),
            }
        }
        panic!("the original stays in use: {statement}");
    }
}

/// The server's own words where it has some; `tokio_postgres` says only "db error".
fn told(error: &tokio_postgres::Error) -> String {
    let Some(server) = error.as_db_error() else { return format!("{error:?}") };
    let mut text = format!("{} {}: {}", server.severity(), server.code().code(), server.message());
    for (name, part) in [("detail", server.detail()), ("hint", server.hint()), ("where", server.where_())] {
        if let Some(part) = part {
            text.push_str(&format!("\n  {name}: {part}"));
        }
    }
    text
}

fn shortened(text: &str) -> String {
    const CHARS: usize = 2000;
    if text.chars().count() <= CHARS {
        text.to_owned()
    } else {
        text.chars().take(CHARS).chain(" …".chars()).collect()
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
