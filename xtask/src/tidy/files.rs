//! The shape of files: a header that says what a module is for, a length one can read, a name that says something.

use std::path::Path;

use anyhow::Context;

use super::Complaint;

const LONGEST: usize = 600;
/// A file above the limit says why in its first lines, in these words.
const EXCUSE: &str = "longer than 600 lines because";
const DRAWERS: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for folder in ["crates", "xtask"] {
        walk(root, &root.join(folder), &mut complaints)?;
    }
    Ok(complaints)
}

fn walk(root: &Path, folder: &Path, complaints: &mut Vec<Complaint>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if DRAWERS.contains(&stem) {
            complaints.push(Complaint(format!("{shown}: name it after what it holds")));
        }
        if path.is_dir() {
            walk(root, &path, complaints)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).with_context(|| shown.clone())?;
            complaints.extend(shape(&shown, &text));
        }
    }
    Ok(())
}

fn shape(shown: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(Complaint(format!("{shown}: open with `//!` and what the file is for")));
    }
    let lines = text.lines().count();
    let excused = text.lines().take(12).any(|line| line.contains(EXCUSE));
    if lines > LONGEST && !excused {
        complaints
            .push(Complaint(format!("{shown}: {lines} lines; split it, or say at its top why ({EXCUSE} …)")));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn a_file_without_a_header_or_an_end_is_complained_about() {
        assert_eq!(shape("a.rs", "//! Fine.\n").len(), 0);
        assert_eq!(shape("a.rs", "use std::fs;\n").len(), 1);
        let long = format!("//! Long.\n{}", "\n".repeat(700));
        assert_eq!(shape("a.rs", &long).len(), 1);
        let excused =
            format!("//! Long; longer than 600 lines because it is one table.\n{}", "\n".repeat(700));
        assert_eq!(shape("a.rs", &excused).len(), 0);
    }
}
