//! Migrations of the platform's schema, on real servers.

#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod adopted;
mod checked;
mod generated;
mod killed;
mod moves;
mod scene;
mod small;
mod tenants;
