//! Places where a test may kill us: before and after every journal write and every step, and where a connection was lost,
//! which is how a test kills us between the commits of one statement.
//!
//! With the cargo feature `fault` (never in a release), `BASTIDE_FAULT` names one: `after_done:backfill:public.orders`,
//! `after_statement:add_tenant_key:public.orders@2` for the second time this process passes there, or `#17` for the
//! seventeenth place passed. There the process dies as by `kill -9`: no destructor runs, the connection breaks.
//! `BASTIDE_FAULT_LOG` names a file to which every place passed is appended. Without the feature this is nothing at all.

#[cfg(not(feature = "fault"))]
#[inline]
pub(crate) fn point(_place: &str, _of: &str) {}

#[cfg(feature = "fault")]
pub(crate) fn point(place: &str, of: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };

    static PASSED: AtomicU32 = AtomicU32::new(0);
    static MATCHED: AtomicU32 = AtomicU32::new(0);
    static WANTED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("BASTIDE_FAULT").ok());
    static LOG: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("BASTIDE_FAULT_LOG").ok());

    if let Some(log) = LOG.as_deref() {
        note(log, place, of);
    }
    let Some(wanted) = WANTED.as_deref() else { return };
    let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    let here = match wanted.strip_prefix('#') {
        Some(number) => number.parse() == Ok(passed),
        None => {
            let (name, time) = wanted.rsplit_once('@').unwrap_or((wanted, "1"));
            name.strip_prefix(place).and_then(|rest| rest.strip_prefix(':')) == Some(of)
                && time.parse() == Ok(MATCHED.fetch_add(1, Ordering::SeqCst) + 1)
        }
    };
    if here {
        let died = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // SIGKILL to oneself cannot fail, and if it does, going on would make the test pass for nothing.
        assert!(died.is_err(), "the signal was sent and we are still here");
        std::process::abort();
    }
}

#[cfg(feature = "fault")]
fn note(log: &str, place: &str, of: &str) {
    use std::io::Write;

    let noted = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .and_then(|mut file| writeln!(file, "{place}:{of}"));
    assert!(noted.is_ok(), "{log}: {noted:?}");
}
