//! Every row's tenant, inferred set-wise inside the database and recorded with its evidence before any row is touched.

use bastide_sql::{QualifiedName, Sql};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferTenants {
    /// 1; the sweep after the first backfill, which settles rows still without a tenant, is 2.
    pub pass: u32,
    /// From [`crate::inference`]; ends by writing `bastide.rule` and `bastide.assignment` (rows still without a tenant go to quarantine with their reason).
    pub script: Vec<Sql>,
    pub reads: Vec<QualifiedName>,
}
