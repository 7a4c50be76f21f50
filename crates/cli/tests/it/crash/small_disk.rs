//! A small disk for a database or its write-ahead log, to be filled to the last byte.
//!
//! It is a tmpfs, mounted in a mount namespace of the test's own: with the test, however it ends, the mount is gone. That takes
//! root, as a test that is not root says.

use std::{
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bastide_testkit::{Database, Server};

const INSIDE: &str = "BASTIDE_TEST_MOUNTS";

/// True when this process may mount. Otherwise the test of this name has run in another process that may, or cannot.
pub(crate) fn may_mount(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut probe = Command::new("unshare");
    probe.args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        tell(&format!("SKIPPED: {test} needs root, to mount a small disk"));
        return false;
    }
    let mut inside = Command::new("unshare");
    inside.arg("--mount").arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let status = inside.env(INSIDE, "1").status().unwrap();
    assert!(status.success(), "{test}, with a small disk: {status}");
    false
}

pub(crate) fn tell(what: &str) {
    writeln!(std::io::stderr(), "{what}").expect("stderr is open");
}

pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Beside the server's own data, owned by its account.
    pub(crate) fn mount(server: &Server, megabytes: u64) -> Self {
        let data = server.postgres().data_dir();
        let folder = data.with_file_name("disk");
        std::fs::create_dir(&folder).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).status();
        assert!(mounted.unwrap().success(), "mounting {}", folder.display());
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        let disk = Self { folder };
        disk.hand_over(data, &disk.folder);
        disk
    }

    fn hand_over(&self, data: &Path, folder: &Path) {
        let owner = data.metadata().unwrap();
        chown(folder, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// Moves the database here, whole.
    pub(crate) async fn takes(&self, server: &Server, db: &Database) {
        let folder = self.folder.join("space");
        std::fs::create_dir(&folder).unwrap();
        self.hand_over(server.postgres().data_dir(), &folder);
        let postgres = server.existing("postgres");
        postgres.execute(&format!("CREATE TABLESPACE tight LOCATION '{}'", folder.display())).await;
        postgres.execute(&format!("ALTER DATABASE {} SET TABLESPACE tight", db.name())).await;
    }

    /// Moves the write-ahead log here. The server must be down.
    pub(crate) fn takes_wal(&self, cluster: &Path) {
        let (from, to) = (cluster.join("pg_wal"), self.folder.join("pg_wal"));
        let copied = Command::new("cp").arg("-a").arg(&from).arg(&to).status().unwrap();
        assert!(copied.success());
        std::fs::remove_dir_all(&from).unwrap();
        std::os::unix::fs::symlink(&to, &from).unwrap();
    }

    pub(crate) fn fill(&self) {
        let mut ballast = std::fs::File::create(self.folder.join("ballast")).unwrap();
        let mut size = 1 << 20;
        let zeroes = vec![0; size];
        while size >= 1 {
            if ballast.write_all(&zeroes[..size]).is_err() {
                size /= 2;
            }
        }
    }

    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.folder.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server has files open here; the folder must be free to be removed with the server's.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.folder).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
