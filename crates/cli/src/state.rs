//! The state folder: plans, reports and what a run left to read. It holds the shop's data, so only its owner may look in.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use bastide_record::Verdict;
use uuid::Uuid;

pub(crate) struct StateDir(PathBuf);

impl StateDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn plan_file(&self) -> PathBuf {
        self.0.join("plan.toml")
    }

    pub(crate) fn discovery_file(&self) -> PathBuf {
        self.0.join("reports").join("discovery.html")
    }

    pub(crate) fn rows_file(&self, run: &str) -> PathBuf {
        self.0.join("reports").join(format!("{run}.rows.html"))
    }

    pub(crate) fn report_file(&self, run: Uuid) -> PathBuf {
        self.0.join("reports").join(format!("{run}.html"))
    }

    /// The last verification of a run, for reports made later.
    pub(crate) fn verdict(&self, run: Uuid) -> Option<Verdict> {
        let text = fs::read_to_string(self.verdict_file(run)).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub(crate) fn keep_verdict(&self, run: Uuid, verdict: &Verdict) -> anyhow::Result<()> {
        write_private(&self.verdict_file(run), &serde_json::to_string_pretty(verdict)?)
    }

    fn verdict_file(&self, run: Uuid) -> PathBuf {
        self.0.join("reports").join(format!("{run}.verdict.json"))
    }
}

/// Writes a file only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(shown)?;
    }
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .with_context(shown)?;
    file.write_all(text.as_bytes()).with_context(shown)?;
    file.sync_all().with_context(shown)?;
    fs::rename(&fresh, path).with_context(shown)
}
