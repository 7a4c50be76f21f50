//! The catalogue of a merchant, as its team keeps it: products with their variants, categories, stock.

mod bodies;
mod categories;
mod filter;
mod inventory;
mod media;
mod products;
mod refusals;
mod search;
mod storefront;
mod variants;

use crate::contract::Routes;

pub(crate) use search::LIST as PRODUCTS;

pub(super) fn routes() -> Routes {
    products::routes()
        .merge(variants::routes())
        .merge(categories::routes())
        .merge(inventory::routes())
        .merge(media::routes())
        .merge(storefront::routes())
        .merge(search::routes())
}
