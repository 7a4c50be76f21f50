//! An open connection.

use std::{
    future::poll_fn,
    io,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Socket, config::SslMode, error::SqlState, tls::TlsStream,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    ConnectError, MINIMUM_MAJOR, Target,
    tls::{Mode, Tls, problem},
};

/// A client, and the task that moves its messages. Dropping it says goodbye to the server in the background;
/// [`close`](Self::close) waits for that.
pub struct Connected {
    client: Client,
    driver: JoinHandle<()>,
    version: String,
}

impl Connected {
    /// `prefer` falls back to an open connection when the encrypted one fails, as libpq does; when TLS is not offered,
    /// `tokio_postgres` does so by itself.
    pub(crate) async fn open(target: &Target, config: Config, tls: &Tls) -> Result<Self, ConnectError> {
        let first = Self::attempt(target, &config, tls).await;
        match (&first, tls.mode, config.get_ssl_mode()) {
            (
                Err(ConnectError::Tls { .. } | ConnectError::NotAllowed { .. }),
                Mode::Prefer,
                SslMode::Prefer,
            ) => {
                let mut open = config;
                open.ssl_mode(SslMode::Disable);
                // When that fails too, the first answer is the more telling one.
                Self::attempt(target, &open, tls).await.or(first)
            }
            _ => first,
        }
    }

    async fn attempt(target: &Target, config: &Config, tls: &Tls) -> Result<Self, ConnectError> {
        let host = target.host_for_people();
        let seen = Arc::new(AtomicBool::new(false));
        let client_config = tls.client_config(Arc::clone(&seen));
        let client_config =
            client_config.map_err(|problem| ConnectError::Tls { host: host.clone(), problem })?;
        let connecting = config.connect(MakeRustlsConnect::new(client_config));
        // `connect_timeout` of the library covers the TCP handshake only.
        let answer = match target.timeout() {
            Some(patience) => tokio::time::timeout(patience + Duration::from_millis(500), connecting).await,
            None => Ok(connecting.await),
        };
        let Ok(answer) = answer else {
            return Err(no_answer(target));
        };
        let (client, connection) =
            answer.map_err(|error| explain(target, config, seen.load(Ordering::Relaxed), error))?;
        let version = connection.parameter("server_version").unwrap_or_default().to_owned();
        check_version(&version, &host)?;
        Ok(Self { client, driver: tokio::spawn(drive(connection)), version })
    }

    /// As the server says it: `15.18 (Debian 15.18-0+deb12u1)`.
    #[must_use]
    pub fn server_version(&self) -> &str {
        &self.version
    }

    /// For `pg_dump`, which must not be older.
    #[must_use]
    pub fn server_major(&self) -> u32 {
        major(&self.version).unwrap_or(MINIMUM_MAJOR)
    }

    /// For a pool, which keeps the two together itself. Aborting the task closes the socket at once.
    #[must_use]
    pub fn into_parts(self) -> (Client, JoinHandle<()>) {
        (self.client, self.driver)
    }

    /// Says goodbye and waits until it was sent: the server ends the session at once.
    pub async fn close(self) {
        drop(self.client);
        if let Err(error) = self.driver.await {
            tracing::debug!(%error, "the connection's task ended early");
        }
    }
}

impl Deref for Connected {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Connected {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

async fn drive<T: TlsStream + tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    mut connection: Connection<Socket, T>,
) {
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                tracing::debug!(
                    severity = notice.severity(),
                    code = notice.code().code(),
                    "{}",
                    notice.message()
                );
            }
            Ok(_) => {}
            Err(error) => {
                // Whoever waits for an answer is told by the client.
                tracing::debug!(%error, "the connection was lost");
                return;
            }
        }
    }
}

fn major(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn check_version(version: &str, host: &str) -> Result<(), ConnectError> {
    match major(version) {
        Some(major) if major >= MINIMUM_MAJOR => Ok(()),
        _ => Err(ConnectError::TooOld { version: version.to_owned(), host: host.to_owned() }),
    }
}

fn no_answer(target: &Target) -> ConnectError {
    let seconds = target.timeout().map_or(0, |patience| patience.as_secs());
    ConnectError::NoAnswer { host: target.host_for_people(), seconds }
}

/// By SQLSTATE, by the kind of I/O error, by what had happened before; never by the words.
fn explain(
    target: &Target,
    config: &Config,
    saw_certificate: bool,
    error: tokio_postgres::Error,
) -> ConnectError {
    let host = target.host_for_people();
    let (user, database) = (target.user().to_owned(), target.database().to_owned());
    if let Some(answer) = error.as_db_error() {
        let message = answer.message().to_owned();
        return match *answer.code() {
            SqlState::INVALID_PASSWORD => ConnectError::WrongPassword { user, host },
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => ConnectError::NotAllowed { user, host, message },
            SqlState::INVALID_CATALOG_NAME => ConnectError::NoSuchDatabase { database, host },
            SqlState::INSUFFICIENT_PRIVILEGE => ConnectError::NoConnectPrivilege { user, database },
            SqlState::TOO_MANY_CONNECTIONS => ConnectError::TooMany { host, message },
            SqlState::CANNOT_CONNECT_NOW => ConnectError::Starting { host, message },
            ref code => ConnectError::Refused { host, code: code.code().to_owned(), message },
        };
    }
    let told = error.to_string();
    match error.into_source().map(|source| source.downcast::<io::Error>()) {
        Some(Ok(source)) => {
            if let Some(error) = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return ConnectError::Tls { host, problem: problem(error) };
            }
            if source.kind() == io::ErrorKind::TimedOut {
                no_answer(target)
            } else {
                ConnectError::Unreachable { host, source: *source }
            }
        }
        // Nothing of rustls, nothing of the server: TLS was asked for and refused before any certificate came.
        _ if config.get_ssl_mode() == SslMode::Require && !saw_certificate => ConnectError::Tls {
            host,
            problem: "the server does not offer TLS; switch it on there (ssl = on), or use sslmode=prefer"
                .to_owned(),
        },
        _ if !target.has_password() => ConnectError::NoPassword { user, host },
        _ => ConnectError::NotPostgres { host, problem: told },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused_by_name() {
        check_version("15.18 (Debian 15.18-0+deb12u1)", "db").unwrap();
        check_version("19devel", "db").unwrap();
        let error = check_version("14.9", "db.example.com:5432").unwrap_err().to_string();
        assert_eq!(
            error,
            "PostgreSQL at db.example.com:5432 is version 14.9; Bastide needs 15 or newer: upgrade the server first"
        );
        assert!(check_version("", "db").is_err());
    }
}
