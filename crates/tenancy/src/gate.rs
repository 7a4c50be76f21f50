//! Whether the pool lends: shut while the watch knows that tenants are not kept apart.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::Error;

#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(crate) fn shut(&self, shut: bool) {
        self.0.store(shut, Ordering::SeqCst);
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self) -> Result<(), Error> {
        if self.is_shut() { Err(Error::NotIsolated) } else { Ok(()) }
    }
}
