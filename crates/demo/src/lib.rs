//! The demo's own parts: the legacy shop and its deterministic generator ([`LegacyShop`]), and the check that asks the
//! finished API as two merchants and tries to cross ([`try_to_cross`]). The command line strings them together with the
//! engine and the server.

mod crossing;
mod shop;

pub use crossing::{CrossingCheck, CrossingError, try_to_cross};
pub use shop::{DEMO_PASSWORD, LegacyShop, LogIn, ShopError};
