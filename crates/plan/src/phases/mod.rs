//! What each phase of a run does, as steps: one file per phase that changes the database.

use bastide_catalog::Table;

/// Whether an earlier run protects this table: it has the strict policy.
pub(crate) fn is_ours(table: &Table) -> bool {
    table.policies.iter().any(|policy| policy.name.as_str() == TENANT_POLICY)
}

/// The strict policy, for the application; after cutover for everybody.
pub(crate) const TENANT_POLICY: &str = "bastide_tenant";
