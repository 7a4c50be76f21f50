//! Where PostgreSQL is installed on this machine.

use std::{
    collections::BTreeSet,
    env, fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::PostgresError;

/// The oldest major version Bastide works with: 14 lacks `security_invoker` views and column lists of SET NULL.
pub const MINIMUM_MAJOR: u32 = 15;

/// Folders where packagers put `<version>/…` folders side by side; `*` stands for any one name.
const VERSIONED: [&str; 8] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/lib64/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// `major.minor`; a beta or a development version has minor 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    /// Reads what `postgres --version` and its siblings print: `postgres (PostgreSQL) 15.18 (Debian …)`.
    fn parse(output: &str) -> Option<Self> {
        let number = output.split_once(')')?.1.split_whitespace().next()?;
        let mut parts = number.split(|c: char| !c.is_ascii_digit());
        let major = parts.next()?.parse().ok()?;
        let minor = if number.contains('.') { parts.next()?.parse().ok()? } else { 0 };
        Some(Self { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A folder with `postgres`, `initdb` and their client tools, all of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    bin: PathBuf,
    version: Version,
}

impl Installation {
    /// The newest installation on this machine.
    ///
    /// # Errors
    /// When there is none, or none of version 15 or newer; the message says what to install.
    pub fn find() -> Result<Self, PostgresError> {
        Self::find_in(&candidates())
    }

    fn find_in(folders: &[PathBuf]) -> Result<Self, PostgresError> {
        let mut found: Vec<Self> = folders
            .iter()
            // Followed to where it points: a folder on PATH may link the server and not its tools.
            .filter_map(|folder| Some(folder.join("postgres").canonicalize().ok()?.parent()?.to_owned()))
            .filter(|bin| runnable(&bin.join("initdb")))
            .filter_map(|bin| Some(Self { version: version_of(&bin.join("postgres"))?, bin }))
            .collect();
        // Stable: among equals the earlier place, which is what the user's PATH prefers, wins.
        found.sort_by_key(|installation| std::cmp::Reverse(installation.version));
        match found.into_iter().next() {
            None => Err(PostgresError::NotInstalled {
                places: VERSIONED.iter().take(5).map(ToString::to_string).collect(),
            }),
            Some(newest) if newest.version.major < MINIMUM_MAJOR => {
                Err(PostgresError::TooOld { newest: newest.version, bin: newest.bin })
            }
            Some(newest) => Ok(newest),
        }
    }

    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The path of one of its programs, such as `pg_dump`.
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// A client program and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    pub path: PathBuf,
    pub version: Version,
}

/// `pg_dump`, `pg_restore`, `psql`, …, of at least the server's major version `minimum`.
///
/// Of several the *closest* is taken, not the newest: a dump made by `pg_dump` 17 sets parameters that a server of
/// version 15 does not have.
///
/// # Errors
/// When there is none; the message says what to install.
pub fn find_tool(name: &str, minimum: u32) -> Result<Tool, PostgresError> {
    find_tool_in(&candidates(), name, minimum)
}

fn find_tool_in(folders: &[PathBuf], name: &str, minimum: u32) -> Result<Tool, PostgresError> {
    let tools: Vec<Tool> = folders
        .iter()
        .map(|folder| folder.join(name))
        // Debian's /usr/bin/pg_dump is a script that chooses a version by its own lights.
        .filter(|path| path.canonicalize().is_ok_and(|real| !real.ends_with("pg_wrapper")))
        .filter_map(|path| Some(Tool { version: version_of(&path)?, path }))
        .collect();
    let newest = tools.iter().map(|tool| tool.version).max();
    let closest = tools
        .into_iter()
        .filter(|tool| tool.version.major >= minimum)
        .min_by_key(|tool| (tool.version.major, std::cmp::Reverse(tool.version.minor)));
    closest.ok_or_else(|| PostgresError::ToolMissing { tool: name.to_owned(), minimum, newest })
}

/// Every folder that may hold binaries, each once, in order of preference among equals.
fn candidates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(bindir_of_pg_config());
    folders.extend(VERSIONED.iter().flat_map(|pattern| expand(Path::new("/"), pattern)));
    let mut seen = BTreeSet::new();
    folders.retain(|folder| folder.canonicalize().is_ok_and(|real| seen.insert(real)));
    folders
}

fn bindir_of_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Existing folders below `root` that match `pattern`, in which one `*` per name is allowed.
fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    pattern.split('/').filter(|name| !name.is_empty()).fold(vec![root.to_owned()], |folders, name| {
        folders
            .into_iter()
            .flat_map(|folder| match name.split_once('*') {
                None => vec![folder.join(name)],
                Some((before, after)) => matching(&folder, before, after),
            })
            .filter(|path| path.is_dir())
            .collect()
    })
}

fn matching(folder: &Path, before: &str, after: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let fits = |name: &str| {
        name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
    };
    entries.filter(|entry| entry.file_name().to_str().is_some_and(fits)).map(|entry| entry.path()).collect()
}

fn version_of(program: &Path) -> Option<Version> {
    if !runnable(program) {
        return None;
    }
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    Version::parse(&String::from_utf8_lossy(&output.stdout))
}

fn runnable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with programs that answer `--version` as PostgreSQL's do.
    fn pretend(root: &Path, folder: &str, version: &str, programs: &[&str]) -> PathBuf {
        let bin = root.join(folder);
        fs::create_dir_all(&bin).unwrap();
        for program in programs {
            let path = bin.join(program);
            fs::write(&path, format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin
    }

    #[test]
    fn versions_are_read_as_printed() {
        let version = |text| Version::parse(text).map(|version| version.to_string());
        assert_eq!(version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)").unwrap(), "15.18");
        assert_eq!(version("pg_dump (PostgreSQL) 18beta2").unwrap(), "18.0");
        assert_eq!(version("initdb (PostgreSQL) 19devel").unwrap(), "19.0");
        assert_eq!(version("postgres: command not found"), None);
    }

    #[test]
    fn the_newest_installation_wins_and_needs_initdb() {
        let root = tempfile::tempdir().unwrap();
        let server = ["postgres", "initdb"];
        let folders = [
            pretend(root.path(), "a", "15.3", &server),
            pretend(root.path(), "b", "16.10 (Homebrew)", &server),
            pretend(root.path(), "c", "16.9", &server),
            pretend(root.path(), "d", "18.1", &["postgres"]),
        ];
        let found = Installation::find_in(&folders).unwrap();
        assert_eq!((found.version.to_string().as_str(), found.bin()), ("16.10", folders[1].as_path()));
        let linked = root.path().join("linked");
        fs::create_dir(&linked).unwrap();
        std::os::unix::fs::symlink(folders[2].join("postgres"), linked.join("postgres")).unwrap();
        assert_eq!(Installation::find_in(&[linked]).unwrap().bin(), folders[2]);
    }

    #[test]
    fn nothing_suitable_says_what_to_install() {
        let root = tempfile::tempdir().unwrap();
        let error = Installation::find_in(&[]).unwrap_err().to_string();
        assert!(error.contains("apt-get install postgresql") && error.contains("brew install"), "{error}");
        let old = pretend(root.path(), "old", "14.5", &["postgres", "initdb"]);
        let error = Installation::find_in(&[old]).unwrap_err().to_string();
        assert!(error.starts_with("PostgreSQL 14.5 in") && error.contains("15 or newer"), "{error}");
    }

    #[test]
    fn the_closest_tool_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let folders = [
            pretend(root.path(), "a", "18.0", &["pg_dump"]),
            pretend(root.path(), "b", "16.2", &["pg_dump"]),
            pretend(root.path(), "c", "16.4", &["pg_dump"]),
            pretend(root.path(), "d", "15.1", &["pg_dump"]),
        ];
        assert_eq!(find_tool_in(&folders, "pg_dump", 16).unwrap().version.to_string(), "16.4");
        let error = find_tool_in(&folders, "pg_dump", 19).unwrap_err().to_string();
        assert!(
            error.contains("no `pg_dump` of PostgreSQL 19") && error.contains("newest here is 18.0"),
            "{error}"
        );
    }

    #[test]
    fn versioned_folders_are_expanded() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["lib/16/bin", "lib/17/bin", "lib/17/share", "opt/postgresql@15/bin", "opt/mysql@8/bin"]
        {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        assert_eq!(expand(root.path(), "/lib/*/bin").len(), 2);
        assert_eq!(expand(root.path(), "/opt/postgresql@*/bin"), [root.path().join("opt/postgresql@15/bin")]);
        assert!(expand(root.path(), "/none/*/bin").is_empty());
    }
}
