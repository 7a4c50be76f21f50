//! How rows are read, one entity per file: the SQL as a `const` beside its one function.

pub mod crossings;
pub mod idempotency;
pub mod merchants;
pub mod migration;
pub mod orders;
pub mod products;
pub mod storefronts;
pub mod users;

use bastide_tenancy::{Lookup, Query, Row};

use crate::Error;

/// Every statement that runs as a tenant, for the test that has the server plan each.
#[must_use]
pub fn all() -> Vec<(&'static str, Query)> {
    vec![
        ("idempotency, lock", idempotency::LOCK),
        ("idempotency, find", idempotency::FIND),
        ("idempotency, store", idempotency::STORE),
        ("orders, first page", orders::FIRST_PAGE),
        ("orders, next page", orders::NEXT_PAGE),
        ("products, first page", products::FIRST_PAGE),
        ("products, next page", products::NEXT_PAGE),
        ("storefront", storefronts::OF_TENANT),
    ]
}

/// Every look-up that runs before the tenant is known.
#[must_use]
pub fn lookups() -> Vec<(&'static str, Lookup)> {
    vec![
        ("merchant by slug", merchants::BY_SLUG),
        ("merchants of a user", merchants::OF_USER),
        ("login by e-mail", users::LOGIN_BY_EMAIL),
        ("membership", users::MEMBERSHIP),
        ("migration status", migration::STATUS),
        ("record of crossings", crossings::RECORD),
    ]
}

/// Rows of one page and whether there are more: one row more than wanted was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub has_more: bool,
}

fn page<T: for<'a> TryFrom<&'a Row, Error = Error>>(rows: &[Row], limit: u16) -> Result<Page<T>, Error> {
    let has_more = rows.len() > usize::from(limit);
    let rows = rows.iter().take(usize::from(limit)).map(T::try_from).collect::<Result<_, _>>()?;
    Ok(Page { rows, has_more })
}
