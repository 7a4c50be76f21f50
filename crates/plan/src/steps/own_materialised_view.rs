//! Under FORCE an ordinary owner would refresh to nothing; `bastide_owner` is not filtered.

use bastide_sql::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMaterialisedView {
    pub view: QualifiedName,
    pub previous_owner: Ident,
    pub reads: Vec<QualifiedName>,
}
