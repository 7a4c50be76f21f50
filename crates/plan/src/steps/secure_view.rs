//! A view that reads with the rights, and under the policies, of whoever asks.

use bastide_sql::QualifiedName;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecureView {
    pub view: QualifiedName,
    /// The option's value before, when it was set at all.
    pub previous: Option<String>,
    /// All options before, in order, as `pg_class.reloptions` has them.
    pub options: Vec<String>,
}
