//! A PostgreSQL of one's own: finds installed binaries, makes a data folder, starts a server on a free loopback port
//! and stops it again.
//!
//! The server is private: it listens on 127.0.0.1 and on a socket in its own folder, asks for a generated password on
//! both, and runs in its own process group, so that a Ctrl-C at the terminal reaches us alone and we stop it in order.
//! Run as root it drops to an unprivileged user, because PostgreSQL refuses to run as root.

mod account;
mod error;
mod find;
mod folder;
mod initdb;
mod pidfile;
mod server;

pub use error::PostgresError;
pub use find::{Installation, MINIMUM_MAJOR, Tool, Version, find_tool};
pub use folder::default_data_dir;
pub use pidfile::{Running, running, stop_running};
pub use server::{Server, ServerBuilder};
