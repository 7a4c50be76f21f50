//! How each operation is asked: one file a resource, as in `src/routes`.

mod auth;
mod migration;
mod operators;
mod orders;
mod products;
mod reference;
mod system;

use super::driver::{Case, Scene};

/// All of them, with what they need in the scene.
pub(crate) async fn cases(_scene: &Scene) -> Vec<Case> {
    [
        auth::cases(),
        migration::cases(),
        operators::cases(),
        orders::cases(),
        products::cases(),
        reference::cases(),
        system::cases(),
    ]
    .concat()
}
