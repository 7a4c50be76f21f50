//! The functions policies read the tenant context with, typed by the root's key.

use bastide_catalog::TypeName;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateContext {
    pub root_type: TypeName,
}
