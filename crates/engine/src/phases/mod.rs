//! What the phases do besides running steps, one file each.

pub(crate) mod analysis;
pub(crate) mod backup;
pub(crate) mod capacity;
pub(crate) mod preflight;
pub(crate) mod projection;
pub(crate) mod restorable;
pub(crate) mod validation;
