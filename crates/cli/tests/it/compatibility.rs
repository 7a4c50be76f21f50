//! `docs/compatibility.md` names what shows each of its rows, and every shape there is.

use std::{collections::BTreeSet, fs, path::Path};

/// The names in the last column, each row's.
fn shown(text: &str) -> Vec<Vec<String>> {
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| --- |"))
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let names = |row: &str| {
        let last = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap().to_owned();
        last.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    rows.map(names).collect()
}

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_row_is_shown_by_something_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rows = shown(&fs::read_to_string(root.join("docs/compatibility.md")).unwrap());
    assert!(rows.len() > 20, "{rows:?}");
    let (fixtures, mut tests) = (root.join("fixtures/legacy"), String::new());
    let shapes = fixtures.join("shapes");
    sources(&root.join("crates/cli/tests"), &mut tests);
    sources(&root.join("crates/plan/src/obstacles"), &mut tests);
    for names in &rows {
        assert!(!names.is_empty(), "a row is shown by nothing: {rows:?}");
        for name in names {
            let there = shapes.join(name).is_file()
                || fixtures.join(name).is_file()
                || tests.contains(&format!("fn {name}()"));
            assert!(there, "{name} is neither a shape nor a test");
        }
    }
    let named: BTreeSet<&str> = rows.iter().flatten().map(String::as_str).collect();
    for (folder, prefix) in [(shapes, ""), (fixtures.join("refused"), "refused/")] {
        for entry in fs::read_dir(folder).unwrap() {
            let file = format!("{prefix}{}", entry.unwrap().file_name().into_string().unwrap());
            let shown = named.contains(file.as_str()) || file == "refused/rooted.sql";
            assert!(!file.ends_with(".sql") || shown, "no row names {file}");
        }
    }
}
