//! How rows are read, one entity per file: the SQL as a `const` beside its one function.

pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod carts;
pub mod catalogue;
pub mod categories;
pub mod changes;
pub mod checkout;
pub mod crossings;
pub mod idempotency;
pub mod inventory;
pub mod invitations;
pub mod media;
pub mod merchants;
pub mod migration;
pub mod orders;
pub mod products;
pub mod search;
pub mod sessions;
pub mod storefronts;
pub mod team;
pub mod tenants;
pub mod users;
pub mod variants;

use bastide_tenancy::{Lookup, Query, Row};

use crate::Error;

/// Every statement that runs as a tenant, for the test that has the server plan each.
#[must_use]
pub fn all() -> Vec<(&'static str, Query)> {
    vec![
        ("audit, record", audit::RECORD),
        ("carts, make", carts::MAKE),
        ("carts, get", carts::GET),
        ("carts, lock", carts::LOCK),
        ("carts, set a line", carts::SET_LINE),
        ("carts, remove a line", carts::REMOVE_LINE),
        ("carts, order", carts::ORDER),
        ("catalogue, list", catalogue::LIST),
        ("catalogue, get", catalogue::GET),
        ("catalogue, free slug", catalogue::FREE_SLUG),
        ("catalogue, insert", catalogue::INSERT),
        ("catalogue, update", catalogue::UPDATE),
        ("catalogue, was ordered", catalogue::WAS_ORDERED),
        ("catalogue, lock", catalogue::LOCK),
        ("catalogue, delete", catalogue::DELETE),
        ("catalogue, by old slug", catalogue::BY_OLD_SLUG),
        ("categories, all", categories::ALL),
        ("categories, get", categories::GET),
        ("categories, lock", categories::LOCK),
        ("categories, survey", categories::SURVEY),
        ("categories, insert", categories::INSERT),
        ("categories, update", categories::UPDATE),
        ("categories, occupied", categories::OCCUPIED),
        ("categories, lift", categories::LIFT),
        ("categories, delete", categories::DELETE),
        ("API key, make", api_keys::MAKE),
        ("API key, revoke", api_keys::REVOKE),
        ("API keys of somebody, revoke", api_keys::REVOKE_OF),
        ("API keys", api_keys::ALL),
        ("changes", changes::PAGE),
        ("checkout, place", checkout::PLACE),
        ("idempotency, lock", idempotency::LOCK),
        ("idempotency, find", idempotency::FIND),
        ("idempotency, store", idempotency::STORE),
        ("inventory, lock", inventory::LOCK),
        ("inventory, held by others", inventory::HELD_BY_OTHERS),
        ("inventory, hold", inventory::HOLD),
        ("inventory, take", inventory::TAKE),
        ("inventory, release", inventory::RELEASE),
        ("inventory, put back", inventory::PUT_BACK),
        ("inventory, get", inventory::GET),
        ("inventory, list", inventory::LIST),
        ("inventory, adjust", inventory::ADJUST),
        ("inventory, set", inventory::SET),
        ("inventory, history", inventory::HISTORY),
        ("invitation, make", invitations::MAKE),
        ("invitation, take", invitations::TAKE),
        ("invitation, withdraw", invitations::WITHDRAW),
        ("invitations of somebody, withdraw", invitations::WITHDRAW_OF),
        ("invitations", invitations::OPEN),
        ("merchant, make its storefront", tenants::MAKE_STOREFRONT),
        ("merchant, rename", tenants::RENAME),
        ("media, add", media::ADD),
        ("media, by hash", media::BY_HASH),
        ("media, touch", media::TOUCH),
        ("media, update", media::UPDATE),
        ("media, remove", media::REMOVE),
        ("media, is shown", media::IS_SHOWN),
        ("media, referenced", media::REFERENCED),
        ("orders, first page", orders::FIRST_PAGE),
        ("orders, next page", orders::NEXT_PAGE),
        ("products, first page", products::FIRST_PAGE),
        ("products, next page", products::NEXT_PAGE),
        ("products, by slug", products::BY_SLUG),
        ("search, by relevance", search::BY_RELEVANCE),
        ("search, by age", search::BY_AGE),
        ("search, by price", search::BY_PRICE),
        ("search, by price, down", search::BY_PRICE_DOWN),
        ("search, by name", search::BY_NAME),
        ("search, facets", search::FACETS),
        ("search, suggest", search::SUGGEST),
        ("storefront", storefronts::OF_TENANT),
        ("variants, get", variants::GET),
        ("variants, insert", variants::INSERT),
        ("variants, update", variants::UPDATE),
        ("variants, delete", variants::DELETE),
        ("team", team::OF_MERCHANT),
        ("team, a role", team::ROLE),
        ("team, add", team::ADD),
        ("team, lock", team::LOCK),
        ("team, remove", team::REMOVE),
        ("team, set a role", team::SET_ROLE),
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
        ("API key by hash", api_keys::BY_HASH),
        ("merchant, make", tenants::MAKE),
        ("merchant of an invitation", invitations::MERCHANT),
        ("slug after", tenants::SLUG_AFTER),
        ("slugs taken", tenants::SLUGS_TAKEN),
        ("user, create", tenants::CREATE_USER),
        ("user by id", users::BY_ID),
        ("session, issue", sessions::ISSUE),
        ("session, change its token", sessions::ROTATE),
        ("session, revoke", sessions::REVOKE),
        ("session, revoke by its token", sessions::REVOKE_BY_TOKEN),
        ("sessions of a user", sessions::OF_USER),
        ("attempt, count", attempts::COUNT),
        ("attempts, forget", attempts::FORGET),
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
