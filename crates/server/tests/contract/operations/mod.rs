//! How each operation is asked: one file a resource, as in `src/routes`.

mod auth;
mod catalogue;
mod migration;
mod operators;
mod orders;
mod reference;
mod system;

use super::driver::{Case, Scene};

/// All of them, with what they need in the scene.
pub(crate) async fn cases(scene: &Scene) -> Vec<Case> {
    [
        auth::cases(),
        catalogue::cases(scene).await,
        migration::cases(),
        operators::cases(),
        orders::cases(),
        reference::cases(),
        system::cases(),
    ]
    .concat()
}
