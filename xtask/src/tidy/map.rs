//! ARCHITECTURE.md's map and the tree are the same.

use std::path::Path;

use anyhow::Context;
use cargo_metadata::Metadata;

use super::Complaint;

pub(crate) fn check(root: &Path, metadata: &Metadata) -> anyhow::Result<Vec<Complaint>> {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    // The map's lines read `  name/   what it is`, indented under `crates/`.
    let mapped: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("crates/"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.trim_start().split_once('/').map(|(name, _)| name))
        .collect();
    let real: Vec<String> = metadata
        .workspace_packages()
        .iter()
        .filter_map(|package| {
            let folder = package.manifest_path.parent()?;
            folder.parent().is_some_and(|p| p.file_name() == Some("crates")).then(|| folder.file_name())?
        })
        .map(str::to_owned)
        .collect();
    let missing = real.iter().filter(|name| !mapped.contains(&name.as_str()));
    let gone = mapped.iter().filter(|name| !real.iter().any(|r| r == *name));
    Ok(missing
        .map(|name| Complaint(format!("ARCHITECTURE.md's map lacks crates/{name}")))
        .chain(gone.map(|name| {
            Complaint(format!("ARCHITECTURE.md's map names crates/{name}, which does not exist"))
        }))
        .collect())
}
