//! After cutover nobody writes without a context, so the trigger has nothing left to do.

use serde::{Deserialize, Serialize};

use crate::steps::KeepLegacyWrites;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseLegacyWrites {
    pub keeper: KeepLegacyWrites,
}
