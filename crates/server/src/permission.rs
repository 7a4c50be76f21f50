//! What somebody of a team may do. A handler names a permission in its [`Team`](crate::merchant::Team), which nobody gets without it.

/// A role in one merchant's team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    };
}

permissions! {
    /// Orders show customers.
    ReadOrders "orders:read" [Owner Admin Staff];
    ReadCatalogue "catalogue:read" [Owner Admin Staff Viewer];
    WriteCatalogue "catalogue:write" [Owner Admin Staff];
    ReadStock "stock:read" [Owner Admin Staff Viewer];
    WriteStock "stock:write" [Owner Admin Staff];
}
