//! What somebody of a team may do. A handler names a permission in its [`Team`](crate::merchant::Team), which nobody gets without it.

use serde::Deserialize;
use utoipa::ToSchema;

/// A role in one merchant's team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Owner,
    Admin,
    Staff,
    /// Sees figures, no people.
    Viewer,
}

impl Role {
    const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Staff, Self::Viewer];

    /// A role this version does not know allows nothing.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Nobody gives, takes or changes a role above one's own.
    pub(crate) fn reaches(self, other: Self) -> bool {
        let rank = |role| Self::ALL.iter().position(|known| *known == role);
        rank(self) <= rank(other)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Staff => "staff",
            Self::Viewer => "viewer",
        }
    }
}

pub(crate) trait Permission: Send + Sync + 'static {
    /// `resource:verb`
    const NAME: &'static str;
    const ROLES: &'static [Role];
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $permission:ident $name:literal [$($role:ident)*];)*) => {
        $(
            $(#[$doc])*
            pub(crate) enum $permission {}

            impl Permission for $permission {
                const NAME: &'static str = $name;
                const ROLES: &'static [Role] = &[$(Role::$role),*];
            }
        )*

        /// Of each permission its name and who has it.
        pub(crate) const ALL: &[(&str, &[Role])] = &[$(($name, &[$(Role::$role),*])),*];
    };
}

/// What a key cannot be given: who holds one must not make himself more.
const NOT_FOR_KEYS: [&str; 4] = ["team:write", "merchant:rename", "api-keys:read", "api-keys:write"];

/// Whether a key may have a scope, which is a permission's name, when somebody of that role makes it.
pub(crate) fn may_be_scope(name: &str, of: Role) -> bool {
    !NOT_FOR_KEYS.contains(&name) && ALL.iter().any(|(known, roles)| *known == name && roles.contains(&of))
}

permissions! {
    /// Orders show customers.
    ReadOrders "orders:read" [Owner Admin Staff];
    ReadCatalogue "catalogue:read" [Owner Admin Staff Viewer];
    WriteCatalogue "catalogue:write" [Owner Admin Staff];
    ReadStock "stock:read" [Owner Admin Staff Viewer];
    WriteStock "stock:write" [Owner Admin Staff];
    ReadTeam "team:read" [Owner Admin];
    WriteTeam "team:write" [Owner Admin];
    /// The merchant's name in addresses.
    RenameMerchant "merchant:rename" [Owner];
    ReadKeys "api-keys:read" [Owner Admin];
    WriteKeys "api-keys:write" [Owner Admin];
    /// Who changed what.
    ReadAudit "audit:read" [Owner Admin];
}
