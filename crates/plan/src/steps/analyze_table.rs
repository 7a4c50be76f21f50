//! Fresh statistics, so that plans see the tenant column.

use bastide_sql::QualifiedName;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyzeTable {
    pub table: QualifiedName,
}
