//! How each operation is asked: one file a resource, as in `src/routes`.

mod api_keys;
mod auth;
mod buying;
mod catalogue;
mod changes;
mod invitations;
mod migration;
mod operators;
mod orders;
mod reference;
mod system;
mod team;
mod tenants;

use super::driver::{Case, Scene};

/// All of them, with what they need in the scene.
pub(crate) async fn cases(scene: &Scene) -> Vec<Case> {
    [
        api_keys::cases(),
        auth::cases(),
        catalogue::cases(scene).await,
        buying::cases(scene).await,
        changes::cases(),
        invitations::cases(),
        migration::cases(),
        operators::cases(),
        orders::cases(),
        reference::cases(),
        system::cases(),
        team::cases(),
        tenants::cases(),
    ]
    .concat()
}
