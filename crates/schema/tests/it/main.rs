//! Migrations of the platform's schema, on real servers.

#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod generated;
mod moves;
mod scene;
