//! The shops on the air: API and pages.
//!
//! A request reaches rows only through [`merchant`]: its extractors bring path, credential, `X-Tenant-ID` and tenant context to
//! agreement before a handler runs, and what they hand out is the only thing a query accepts as a tenant. Everything that goes wrong leaves as
//! a [`Problem`](problem::Problem), rendered in one place ([`finish`]). Passwords and tokens are the business of [`password`] and [`seal`].
//!
//! Beside the requests, [`lookout`] sees once a minute whether tenants are still kept apart, and [`audit`] writes down who was refused at a
//! merchant that is not theirs; [`telemetry`] and [`routes`] tell operators.

#[cfg(test)]
extern crate self as bastide_server;

mod app;
mod asked;
mod audit;
mod body;
mod client;
mod code;
mod contract;
mod etag;
mod feed;
mod filter;
mod finish;
mod idempotency;
mod limits;
mod lookout;
pub mod media;
mod merchant;
mod operator;
mod page;
mod pages;
mod password;
mod path;
mod permission;
mod problem;
mod refresh;
mod routes;
mod seal;
mod secret;
mod session;
mod telemetry;
mod throttle;
#[cfg(test)]
mod trial;

/// The OpenAPI document, as `/openapi.json` has it.
#[must_use]
pub fn openapi() -> &'static [u8] {
    &routes::document().json
}

/// docs/problems.md.
#[must_use]
pub fn problems() -> String {
    code::reference()
}

/// What a slug must be.
pub use bastide_commerce::subdomain;

pub use app::{App, AppConfig, Mismatches, serve};
pub use limits::{Limits, Quota};
pub use operator::{OpsToken, WeakToken};
pub use seal::{SessionKey, WeakKey};
pub use throttle::Throttle;
