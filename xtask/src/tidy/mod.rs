//! What the compiler cannot hold us to: the walls between crates, the map in ARCHITECTURE.md, and the shape of files.

mod files;
mod map;
mod walls;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;

/// One broken rule: where, and what to do.
pub(crate) struct Complaint(pub(crate) String);

#[expect(clippy::print_stderr, reason = "a command-line chore")]
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let metadata = cargo_metadata::MetadataCommand::new().exec().context("cargo metadata")?;
    let root = PathBuf::from(metadata.workspace_root.as_std_path());
    let mut complaints = walls::check(&metadata);
    complaints.extend(map::check(&root, &metadata)?);
    complaints.extend(files::check(&root)?);
    for Complaint(text) in &complaints {
        eprintln!("tidy: {text}");
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
