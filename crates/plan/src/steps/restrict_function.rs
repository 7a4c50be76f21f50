//! PUBLIC can no longer run a SECURITY DEFINER function; the roles that are there keep it by name.

use bastide_catalog::Acl;
use bastide_sql::{Ident, QualifiedName, Sql};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictFunction {
    pub function: QualifiedName,
    pub arguments: Sql,
    pub owner: Ident,
    pub roles: Vec<Ident>,
    /// The whole list, in order; `None`: the built-in default.
    pub previous: Option<Acl>,
}
