//! What a running server's watch is helped by, where `[watch]` of `bastide.toml` asks for it.

use super::Planning;
use crate::{
    Phase, Step,
    steps::{EVENT_TRIGGERS, WatchDdl},
};

pub(super) fn plan(planning: &mut Planning<'_>) {
    let there =
        planning.catalog.event_triggers.iter().any(|trigger| trigger.name.as_str() == EVENT_TRIGGERS[0]);
    if planning.config.declared.watch.event_trigger && !there {
        let app = planning.app().clone();
        planning.emit(Phase::Optimisation, Step::WatchDdl(WatchDdl { app }));
    }
}
