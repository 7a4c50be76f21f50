//! The shops on the air: API and pages.
//!
//! A request reaches rows only through [`merchant`]: its extractors bring path, credential, `X-Tenant-ID` and tenant context to
//! agreement before a handler runs, and what they hand out is the only thing a query accepts as a tenant. Everything that goes wrong leaves as
//! a [`Problem`](problem::Problem), rendered in one place ([`finish`]). Passwords and tokens are the business of [`password`] and [`seal`].

mod app;
mod feed;
mod finish;
mod merchant;
mod page;
mod pages;
mod password;
mod problem;
mod routes;
mod seal;
mod session;

pub use app::{App, AppConfig, Mismatches, serve};
pub use seal::{SessionKey, WeakKey};
