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
    time::{Duration, SystemTime},
};

const KEPT_UNUSED: Duration = Duration::from_secs(3 * 24 * 60 * 60);

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
        let lock = self.root.join(format!("{key}.lock"));
        if template.is_dir() {
            touch(&lock);
            return template;
        }
        let _held = wait_for_lock(&lock).await;
        touch(&lock);
        if !template.is_dir() {
            self.prune();
            let unfinished = self.root.join(format!("{key}.unfinished"));
            remove(&unfinished);
            build(&unfinished).await;
            let renamed = fs::rename(&unfinished, &template);
            renamed.unwrap_or_else(|error| panic!("cannot create {}: {error}", template.display()));
        }
        template
    }

    /// Clears away templates that nobody has used for days: of fixtures that have changed since, mostly.
    fn prune(&self) {
        let stale = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > KEPT_UNUSED);
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let lock = entry.path();
            let unused = entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(stale);
            if unused && lock.extension().is_some_and(|extension| extension == "lock") {
                remove(&lock.with_extension(""));
            }
        }
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

/// Says that the template was used just now.
fn touch(lock: &Path) {
    let touched =
        File::options().write(true).open(lock).and_then(|file| file.set_modified(SystemTime::now()));
    touched.unwrap_or_else(|error| panic!("cannot touch {}: {error}", lock.display()));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache apart from everybody's.
    fn cache() -> (tempfile::TempDir, Cache) {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache { root: root.path().to_owned() };
        fs::create_dir(cache.root.join("run")).unwrap();
        (root, cache)
    }

    #[tokio::test]
    async fn a_template_is_built_once_even_by_two_at_a_time() {
        let (_root, cache) = cache();
        let builds = AtomicU32::new(0);
        let build = async |folder: &Path| {
            builds.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
            fs::create_dir(folder).unwrap();
        };
        let (one, two) = tokio::join!(cache.template("shop-1.5", build), cache.template("shop-1.5", build));
        assert_eq!((&one, cache.template("shop-1.5", build).await), (&two, two.clone()));
        assert_eq!(builds.into_inner(), 1);
    }

    #[tokio::test]
    async fn templates_nobody_used_for_days_go() {
        let (_root, cache) = cache();
        let build = async |folder: &Path| fs::create_dir(folder).unwrap();
        let (old, used) = (cache.template("old-1.5", build).await, cache.template("used-1.5", build).await);
        for key in ["old-1.5", "used-1.5"] {
            let lock = File::options().write(true).open(cache.root.join(format!("{key}.lock"))).unwrap();
            lock.set_modified(SystemTime::now() - 2 * KEPT_UNUSED).unwrap();
        }
        cache.template("used-1.5", build).await;
        cache.template("new-1.5", build).await;
        assert!(!old.exists() && used.exists());
    }

    #[tokio::test]
    async fn a_copy_is_whole_and_goes_with_its_owner() {
        let (_root, cache) = cache();
        let template = cache.template("shop", async |folder: &Path| {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "content").unwrap();
        });
        let template = template.await;
        let (one, two) = (cache.copy(&template).await, cache.copy(&template).await);
        assert_eq!(fs::read_to_string(two.data.join("file")).unwrap(), "content");
        assert!(one.data.is_dir(), "the second copy must not sweep the first");
        let gone = one.path.clone();
        drop(one);
        assert!(!gone.exists() && two.data.is_dir());
    }
}
