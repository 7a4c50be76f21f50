//! Folders on disk: the cached templates, and one folder per running server.
//!
//! A killed test leaves its folder and its server behind. Every folder is held by a lock that dies with its process,
//! so whoever comes next can tell, and clears it away.

use std::{
    env,
    fs::{self, File, TryLockError},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Where templates and running servers are kept.
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(crate) fn open() -> Self {
        let root = if rustix::process::geteuid().is_root() {
            // The unprivileged user that PostgreSQL runs under may not reach our target folder.
            PathBuf::from("/var/tmp/bastide-testkit")
        } else {
            target_folder().join("bastide-testkit")
        };
        for folder in [&root, &root.join("run")] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
            made.unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
        }
        let owner = fs::metadata(&root).map(|metadata| metadata.uid());
        let ours = owner.is_ok_and(|owner| owner == rustix::process::geteuid().as_raw());
        assert!(ours, "{} belongs to somebody else; remove it", root.display());
        Self { root }
    }

    /// The folder of template `key`, built by `build` when this is the first process that needs it.
    ///
    /// `build` gets a folder of another name, so that a killed build leaves nothing that looks finished.
    pub(crate) async fn template(&self, key: &str, build: impl AsyncFnOnce(&Path)) -> PathBuf {
        let template = self.root.join(key);
        if template.is_dir() {
            return template;
        }
        let _lock = wait_for_lock(&self.root.join(format!("{key}.lock"))).await;
        if !template.is_dir() {
            let unfinished = self.root.join(format!("{key}.unfinished"));
            remove(&unfinished);
            build(&unfinished).await;
            let renamed = fs::rename(&unfinished, &template);
            renamed.unwrap_or_else(|error| panic!("cannot create {}: {error}", template.display()));
        }
        template
    }

    /// A new folder that is a copy of `template`, removed with the value returned.
    pub(crate) async fn copy(&self, template: &Path) -> RunFolder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("run").join(format!("{}-{number}", process::id()));
        // Between making the folder and holding it, it looks abandoned; nobody may sweep then.
        let sweeping = wait_for_lock(&self.root.join("run.lock")).await;
        self.sweep();
        remove(&path);
        make(&path);
        let held = wait_for_lock(&path.join("owner")).await;
        drop(sweeping);
        let data = path.join("d");
        let copied = Command::new("cp").arg("-a").arg(template).arg(&data).output();
        let copied = copied.unwrap_or_else(|error| panic!("cannot run cp: {error}"));
        assert!(
            copied.status.success(),
            "cannot copy {}: {}",
            template.display(),
            String::from_utf8_lossy(&copied.stderr)
        );
        RunFolder { path, data, _held: held }
    }

    fn sweep(&self) {
        for entry in fs::read_dir(self.root.join("run")).into_iter().flatten().flatten() {
            let folder = entry.path();
            let abandoned = match File::open(folder.join("owner")) {
                Ok(owner) => owner.try_lock().is_ok(),
                Err(_) => true,
            };
            if abandoned {
                let stopped = bastide_postgres::stop_running(&folder.join("d"));
                stopped.unwrap_or_else(|error| panic!("cannot stop what a killed test left: {error}"));
                remove(&folder);
            }
        }
    }
}

/// One server's folder.
pub(crate) struct RunFolder {
    path: PathBuf,
    pub(crate) data: PathBuf,
    _held: File,
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Polls rather than blocks: the holder may be another task on this very thread.
async fn wait_for_lock(path: &Path) -> File {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    loop {
        match file.try_lock() {
            Ok(()) => return file,
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(TryLockError::Error(error)) => panic!("cannot lock {}: {error}", path.display()),
        }
    }
}

fn make(folder: &Path) {
    let made = fs::DirBuilder::new().mode(0o755).create(folder);
    made.unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            panic!("cannot remove {}: {error}", folder.display())
        }
        _ => {}
    }
}

/// The root of the workspace, where the tests were built.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn target_folder() -> PathBuf {
    let workspace = workspace();
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let target = workspace.join(target);
    std::path::absolute(&target).unwrap_or(target)
}
