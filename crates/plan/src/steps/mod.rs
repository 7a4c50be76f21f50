//! The closed set of changes Bastide makes to a database: one file per variant, with the change, its exact undoing,
//! what it does to the projected catalog, and its tests side by side.
//!
//! A step renders to a [`Script`]; dry run prints the very value the runner executes, and the journal stores the inverse
//! before the forward script runs. To add a step, see "Add a step" in CONTRIBUTING.md.

mod acl;
mod context;
mod family;
mod indexes;
mod policies;
mod readers;
mod rows;
mod session;
#[cfg(test)]
mod trial;

use std::fmt;

use bastide_catalog::Catalog;
use serde::{Deserialize, Serialize};

use crate::Script;

macro_rules! steps {
    ($($(#[$doc:meta])* $module:ident :: $variant:ident,)*) => {
        $(mod $module; pub use $module::$variant;)*

        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Step {
            $($(#[$doc])* $variant($variant),)*
        }

        impl Step {
            /// The same step of the same plan always has the same id; the journal knows steps by it, never by position.
            #[must_use]
            pub fn id(&self) -> StepId {
                match self { $(Self::$variant(step) => StepId(format!("{}:{}", stringify!($module), step.subject())),)* }
            }

            /// One line for progress, dry run and report: "add column tenant_id to public.orders".
            #[must_use]
            pub fn describe(&self) -> String {
                match self { $(Self::$variant(step) => step.describe(),)* }
            }

            #[must_use]
            pub fn forward(&self) -> Script {
                match self { $(Self::$variant(step) => step.forward(),)* }
            }

            /// What undoes `forward`, exactly, also when it was only half done.
            #[must_use]
            pub fn inverse(&self) -> Script {
                match self { $(Self::$variant(step) => step.inverse(),)* }
            }

            /// What the catalog looks like afterwards.
            pub fn apply(&self, catalog: &mut Catalog) {
                match self { $(Self::$variant(step) => step.apply(catalog),)* }
            }
        }
    };
}

steps! {
    /// The context functions, typed by the root's key, and `bastide.scoped_tables`.
    create_context::CreateContext,
    /// The application's login.
    create_app_role::CreateAppRole,
    /// The context functions take and open sealed tokens only.
    seal_context::SealContext,
    /// BYPASSRLS for a legacy login that does what no policy allows, until cutover.
    lend_bypass::LendBypass,
    /// A new table whose rows are the tenants.
    create_tenant_root::CreateTenantRoot,
    /// A row of the root: quarantine, or the one tenant of a new root.
    add_tenant::AddTenant,
    /// `tenant_id`, nullable and without a scan; or with a constant that PostgreSQL stores once for all rows there are.
    add_tenant_column::AddTenantColumn,
    /// The trigger that gives rows of legacy statements their tenant until cutover.
    keep_legacy_writes::KeepLegacyWrites,
    /// The trigger that takes along the rows below one that legacy statements move to another tenant, until cutover.
    carry_moves::CarryMoves,
    /// Keys and tenants from a rule's CSV file, into `bastide.given`.
    give_keys::GiveKeys,
    /// Inference, set-wise in the database, into `bastide.assignment`.
    infer_tenants::InferTenants,
    /// From `bastide.assignment` into the tenant column, in batches.
    backfill::Backfill,
    /// `CHECK (tenant_id IS NOT NULL) NOT VALID`.
    add_not_null_check::AddNotNullCheck,
    /// `VALIDATE CONSTRAINT`, for checks and foreign keys.
    validate_constraint::ValidateConstraint,
    /// `SET NOT NULL`, cheap because a validated check proves it.
    set_not_null::SetNotNull,
    /// The check that proved NOT NULL goes.
    drop_check::DropCheck,
    /// The default that gives the new application's rows their tenant.
    set_tenant_default::SetTenantDefault,
    /// A unique index led by the tenant, for composite keys to point at and to replace a natural key.
    add_tenant_key::AddTenantKey,
    /// `(tenant_id, …) REFERENCES parent (tenant_id, …)`, NOT VALID.
    add_tenant_foreign_key::AddTenantForeignKey,
    /// The row security a table had before: unchanged for those it binds, and not the application's.
    set_policies_aside::SetPoliciesAside,
    /// Row security on, strict for the application, unchanged for the legacy logins.
    protect_table::ProtectTable,
    /// One privilege list for the application's login on one object.
    grant_app::GrantApp,
    /// `security_invoker` on a view.
    secure_view::SecureView,
    /// PUBLIC's EXECUTE on a SECURITY DEFINER function goes to the roles that are there by name.
    restrict_function::RestrictFunction,
    /// PUBLIC's TEMPORARY on the database goes to the logins that are there by name.
    restrict_temporary::RestrictTemporary,
    /// A tenant-leading index.
    add_tenant_index::AddTenantIndex,
    analyze_table::AnalyzeTable,
    /// Links that cross are cut, copied or moved, as the operator answered.
    settle_links::SettleLinks,
    /// Rows that no tenant may keep move, whole and restorable, into `bastide.held`.
    hold_aside::HoldAside,
    /// A legacy unique or foreign key that its tenant-wide successor replaces.
    drop_legacy_key::DropLegacyKey,
    /// A view that row security does not reach, and what everybody but its owner holds on it.
    close_view::CloseView,
    /// A materialised view whose owner FORCE would filter gets one it does not.
    own_materialised_view::OwnMaterialisedView,
    /// The legacy login's unfiltered access ends, and the owner's with it (FORCE).
    close_table::CloseTable,
    /// Partitions that the shop made since the plan are closed, too.
    protect_partitions::ProtectPartitions,
    /// The BYPASSRLS of [`LendBypass`] goes.
    end_bypass::EndBypass,
    /// The trigger of [`KeepLegacyWrites`] goes.
    release_legacy_writes::ReleaseLegacyWrites,
    /// The trigger of [`CarryMoves`] goes.
    end_moves::EndMoves,
    /// An event trigger that notes changes of the schema.
    watch_ddl::WatchDdl,
}

pub(crate) use acl::table_defaults;
pub use add_tenant::HELD_BY_ROLLBACK;
pub use carry_moves::Below;
pub use drop_legacy_key::LegacyKey;
pub use grant_app::{ColumnGrant, GrantObject};
pub use keep_legacy_writes::TenantSource;
pub(crate) use watch_ddl::EVENT_TRIGGERS;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the step is about: `public.orders` of `protect_table:public.orders`.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(_, subject)| subject)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
