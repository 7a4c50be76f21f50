//! Places where a test may kill us: before and after every journal write and every step.
//!
//! With the cargo feature `fault` (never in a release), `BASTIDE_FAULT` names one: `after_done:backfill:public.orders`, or
//! `#17` for the seventeenth place passed. There the process dies as by `kill -9`: no destructor runs, the connection
//! breaks. Without the feature this is nothing at all.

#[cfg(not(feature = "fault"))]
#[inline]
pub(crate) fn point(_place: &str, _of: &str) {}

#[cfg(feature = "fault")]
pub(crate) fn point(place: &str, of: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};

    static PASSED: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("BASTIDE_FAULT") else { return };
    let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    let here = match wanted.strip_prefix('#') {
        Some(number) => number.parse() == Ok(passed),
        None => wanted.strip_prefix(place).and_then(|rest| rest.strip_prefix(':')) == Some(of),
    };
    if here {
        let died = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // SIGKILL to oneself cannot fail, and if it does, going on would make the test pass for nothing.
        assert!(died.is_err(), "the signal was sent and we are still here");
        std::process::abort();
    }
}
