//! Real legacy databases, kept outside the repository in the folder that `BASTIDE_LEGACY_DATA` names.

use std::{env, io::Write, path::PathBuf, time::UNIX_EPOCH};

use crate::{Database, Server, cache::workspace, template};

/// The folder of dumps, where there is one; a relative path counts from the root of the workspace.
#[must_use]
pub fn legacy_data() -> Option<PathBuf> {
    let folder = env::var_os("BASTIDE_LEGACY_DATA").filter(|folder| !folder.is_empty())?;
    Some(workspace().join(folder)).filter(|folder| folder.is_dir())
}

/// The dump `name`.dump. Where it is absent, says loudly on stderr that the test was skipped.
#[must_use]
pub fn legacy_dump(name: &str) -> Option<PathBuf> {
    let dump = legacy_data().map(|folder| folder.join(format!("{name}.dump"))).filter(|dump| dump.is_file());
    if dump.is_none() {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        let told = writeln!(
            std::io::stderr(),
            "SKIPPED: {test} needs {name}.dump; set BASTIDE_LEGACY_DATA to the folder that holds it"
        );
        assert!(told.is_ok(), "stderr is closed");
    }
    dump
}

/// A server with the legacy database `name` restored into a database of that name; `None`, and a loud line on stderr,
/// where the dump is absent.
///
/// # Panics
/// When it cannot be restored.
pub async fn legacy(name: &str) -> Option<(Server, Database)> {
    let dump = legacy_dump(name)?;
    let metadata = dump.metadata().unwrap_or_else(|error| panic!("cannot read {}: {error}", dump.display()));
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let version = format!("{} {modified:?}", metadata.len());
    Some(template(name, version, async |database| database.restore(&dump).await).await)
}
