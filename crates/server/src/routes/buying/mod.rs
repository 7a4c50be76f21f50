//! What visitors do to buy: a cart, a checkout, and the order it became.

mod carts;
mod checkout;
mod token;

use crate::contract::Routes;

pub(super) fn routes() -> Routes {
    carts::routes().merge(checkout::routes())
}
