//! Places where a test may harm us: before and after every journal write and every step, and where a connection was lost,
//! which is how a test kills us between the commits of one statement.
//!
//! With the cargo feature `fault` (never in a release), each line of `BASTIDE_FAULT` names one: `after_done:backfill:public.orders`,
//! `after_statement:add_tenant_key:public.orders@2` for the second time this process passes there, or `#17` for the
//! seventeenth place passed. There the process dies as by `kill -9`: no destructor runs, the connection breaks.
//!
//! With `BASTIDE_FAULT_GATE` it waits instead: it makes the file of that name, with the place in it, and goes on when the file
//! is gone. What happens meanwhile (to the server, its disk, the connection, a lock) is up to whoever started us.
//!
//! `BASTIDE_FAULT_LOG` names a file to which every place passed is appended. `BASTIDE_FAULT_TRIES` is how often a step is tried,
//! for two seconds at most, and shortens the wait in queues that stop nobody, so that nobody has to wait for a minute of patience. Without the feature this is nothing at all.

use std::time::Duration;

use crate::Patience;

#[cfg(not(feature = "fault"))]
#[inline]
pub fn point(_place: &str, _of: &str) {}

#[cfg(not(feature = "fault"))]
#[inline]
pub(crate) fn patience(patience: Patience) -> Patience {
    patience
}

#[cfg(feature = "fault")]
pub(crate) fn patience(patience: Patience) -> Patience {
    match std::env::var("BASTIDE_FAULT_TRIES").ok().and_then(|tries| tries.parse().ok()) {
        Some(tries) => Patience { tries, total: Duration::from_secs(2), ..patience },
        None => patience,
    }
}

#[cfg(not(feature = "fault"))]
#[inline]
pub(crate) fn queue(wait: Duration) -> Duration {
    wait
}

/// How long to queue for a lock that stops nobody.
#[cfg(feature = "fault")]
pub(crate) fn queue(wait: Duration) -> Duration {
    if std::env::var_os("BASTIDE_FAULT_TRIES").is_some() { Duration::from_secs(1) } else { wait }
}

#[cfg(feature = "fault")]
pub fn point(place: &str, of: &str) {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex, PoisonError},
    };

    #[derive(Default)]
    struct Passed {
        all: u32,
        here: HashMap<String, u32>,
    }
    static PASSED: LazyLock<Mutex<Passed>> = LazyLock::new(Mutex::default);
    static WANTED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("BASTIDE_FAULT").ok());
    static LOG: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("BASTIDE_FAULT_LOG").ok());
    static GATE: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("BASTIDE_FAULT_GATE").ok());

    if let Some(log) = LOG.as_deref() {
        note(log, place, of);
    }
    let Some(wanted) = WANTED.as_deref() else { return };
    let name = format!("{place}:{of}");
    let (number, time) = {
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        passed.all += 1;
        let time = passed.here.entry(name.clone()).or_default();
        *time += 1;
        let time = *time;
        (passed.all, time)
    };
    let here = wanted.lines().any(|wanted| match wanted.strip_prefix('#') {
        Some(wanted) => wanted.parse() == Ok(number),
        None => (time == 1 && wanted == name) || wanted == format!("{name}@{time}"),
    });
    match GATE.as_deref() {
        _ if !here => {}
        Some(gate) => wait(gate, &name),
        None => die(),
    }
}

#[cfg(feature = "fault")]
fn die() -> ! {
    let died = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // SIGKILL to oneself cannot fail, and if it does, going on would make the test pass for nothing.
    assert!(died.is_err(), "the signal was sent and we are still here");
    std::process::abort();
}

#[cfg(feature = "fault")]
fn wait(gate: &str, name: &str) {
    use std::time::Instant;

    // Whoever looks must not find it half written.
    let beside = format!("{gate}.new");
    let made = std::fs::write(&beside, name).and_then(|()| std::fs::rename(&beside, gate));
    assert!(made.is_ok(), "{gate}: {made:?}");
    let begun = Instant::now();
    while std::path::Path::new(gate).exists() {
        if begun.elapsed() > Duration::from_secs(180) {
            // Whoever started us is gone.
            die();
        }
        std::thread::sleep(Duration::from_millis(5));
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
