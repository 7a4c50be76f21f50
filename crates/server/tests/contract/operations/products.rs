//! `src/routes/products.rs`

use crate::driver::{Case, Who};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::of("list_products_on_sale", Who::Anybody)
            .refuses_query("limit=ten", 422, "invalid", "/limit")
            .refuses_query("limit=1&limit=2", 400, "bad_request", "")
            .refuses_query("cursor=%00", 400, "invalid_cursor", ""),
    ]
}
