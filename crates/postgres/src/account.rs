//! The unprivileged user PostgreSQL runs under when we are root.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use crate::{PostgresError, error::Naming};

/// Who owns the data folder and runs the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// Ourselves: we are not root.
    Own,
    Other {
        name: &'static str,
        uid: u32,
        gid: u32,
    },
}

impl Account {
    /// Debian's `postgres` if it exists, else `nobody`; ourselves when we are not root.
    pub(crate) fn unprivileged() -> Result<Self, PostgresError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Own);
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Some(Self::Other { name, uid: id_of("-u", name)?, gid: id_of("-g", name)? }))
            .ok_or(PostgresError::NoAccount)
    }

    /// `program`, to run as this account, out of reach of the terminal's signals, with none of our `PG…` settings.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // A working folder the account may not enter (/root) makes initdb fail.
        command.process_group(0).current_dir("/").stdin(Stdio::null()).env("TZ", "UTC");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        if let Self::Other { uid, gid, .. } = self {
            // Also drops our supplementary groups: `std` calls setgroups(0) before setuid.
            command.uid(*uid).gid(*gid);
        }
        command
    }

    pub(crate) fn hand_over(&self, path: &Path) -> Result<(), PostgresError> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)).naming("hand over", path),
        }
    }

    /// A folder of this account alone, in parents anyone may pass through.
    pub(crate) fn make_folder(&self, folder: &Path) -> Result<(), PostgresError> {
        if !folder.is_dir() {
            if let Some(parent) = folder.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).naming("create", parent)?;
            }
            fs::DirBuilder::new().mode(0o700).create(folder).naming("create", folder)?;
        }
        self.hand_over(folder)?;
        let Self::Other { name, .. } = self else { return Ok(()) };
        let mut enter = self.command(Path::new("/bin/sh"));
        let entered = enter.args(["-c", r#"cd "$0""#]).arg(folder).stderr(Stdio::null()).status();
        if entered.naming("enter", folder)?.success() {
            return Ok(());
        }
        Err(PostgresError::Unreachable { user: (*name).to_owned(), folder: folder.to_owned() })
    }

    /// An empty folder for sockets. It may be in /tmp, where others can make things under any name.
    pub(crate) fn make_socket_folder(&self, folder: &Path) -> Result<(), PostgresError> {
        match fs::symlink_metadata(folder) {
            Ok(found) if !found.is_dir() || found.uid() != self.uid() => {
                return Err(PostgresError::SocketFolder { folder: folder.to_owned() });
            }
            // Sockets of servers that were killed: their names would be refused once their pids are another's.
            Ok(_) => fs::remove_dir_all(folder).naming("remove", folder)?,
            Err(_) => {}
        }
        self.make_folder(folder)
    }

    fn uid(&self) -> u32 {
        match self {
            Self::Own => rustix::process::geteuid().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// A file that only this account (and root) may read.
    pub(crate) fn write_secret(&self, path: &Path, content: &str) -> Result<(), PostgresError> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).naming("create", path)?;
        file.write_all(content.as_bytes()).naming("write", path)?;
        self.hand_over(path)
    }
}

/// By `id`, which also knows users that are not in /etc/passwd.
fn id_of(option: &str, user: &str) -> Option<u32> {
    let output = Command::new("id").args([option, user]).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
