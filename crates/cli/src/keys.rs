//! The CSV files that rules name: keys of rows, and whose they are.

use std::path::{Path, PathBuf};

use bastide_plan::{Declarations, GivenKey, GivenKeys, Rule};
use bastide_sql::Ident;
use sha2::{Digest, Sha256};

use crate::exit::Unusable;

/// More than this belongs into a table of the database, where an expression finds it.
const MOST: usize = 1_000_000;

/// Reads every file that a rule names, `beside` the settings file. A rule that knows what its file was must find it so.
pub(crate) fn read(declared: &mut Declarations, beside: Option<&Path>) -> Result<(), Unusable> {
    for rule in &mut declared.rules {
        let Some(csv) = &rule.csv else { continue };
        let path = beside.map_or_else(|| PathBuf::from(csv), |folder| folder.join(csv));
        let bytes = std::fs::read(&path)
            .map_err(|error| Unusable(format!("[[rule]] {}: {}: {error}", rule.name, path.display())))?;
        let hash = sha256(&bytes);
        if rule.csv_sha256.as_ref().is_some_and(|before| *before != hash) {
            return Err(Unusable(format!(
                "[[rule]] {}: {} is not what it was when the plan was made; make the plan again with `bastide rls plan`",
                rule.name,
                path.display()
            )));
        }
        rule.keys = Some(parse(rule, &path, &bytes)?);
        rule.csv_sha256 = Some(hash);
        // The plan file may lie elsewhere.
        rule.csv = Some(std::path::absolute(&path).unwrap_or(path).display().to_string());
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(rule: &Rule, path: &Path, bytes: &[u8]) -> Result<GivenKeys, Unusable> {
    let wrong = |line: usize, why: String| {
        Unusable(format!("[[rule]] {}: {}, line {line}: {why}", rule.name, path.display()))
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        wrong(line, "it is not UTF-8; save the file in that encoding".to_owned())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| wrong(1, error.to_string()))?.clone();
    let Some(tenant) = headers.iter().position(|header| header == "tenant") else {
        let found: Vec<&str> = headers.iter().collect();
        let why = format!(
            "the first line names the columns: those of a key of {}, and `tenant`; it has {}",
            rule.table,
            if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
        );
        return Err(wrong(1, why));
    };
    let mut columns = Vec::new();
    for (_, header) in headers.iter().enumerate().filter(|(at, _)| *at != tenant) {
        columns.push(Ident::new(header).map_err(|error| wrong(1, error.to_string()))?);
    }
    if columns.is_empty() {
        return Err(wrong(1, format!("the columns of a key of {} are missing", rule.table)));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            wrong(error.position().map_or(0, |position| line_at(text, position)), described(&error))
        })?;
        let line = record.position().map_or(0, |position| line_at(text, position));
        if rows.len() == MOST {
            let why = format!(
                "more than {MOST} keys; bring them into a table and look them up with `tenant = \"(SELECT …)\"`"
            );
            return Err(wrong(line, why));
        }
        let whose = record[tenant].trim();
        if whose.is_empty() {
            return Err(wrong(line, "its tenant is empty".to_owned()));
        }
        if record.iter().any(|value| value.contains('\0')) {
            return Err(wrong(line, "it has a NUL character".to_owned()));
        }
        let key =
            record.iter().enumerate().filter(|(at, _)| *at != tenant).map(|(_, value)| value.to_owned());
        rows.push(GivenKey { line, key: key.collect(), tenant: whose.to_owned() });
    }
    if rows.is_empty() {
        return Err(wrong(2, "it has no keys".to_owned()));
    }
    twice(&rows).map_or(Ok(()), |(line, why)| Err(wrong(line, why)))?;
    Ok(GivenKeys { columns, rows })
}

/// Empty lines are passed over, and the reader's position is before them.
fn line_at(text: &str, position: &csv::Position) -> usize {
    let (at, line) =
        (usize::try_from(position.byte()).unwrap_or(0), usize::try_from(position.line()).unwrap_or(0));
    let empty = text.bytes().skip(at).take_while(|byte| matches!(byte, b'\n' | b'\r'));
    line + empty.filter(|byte| *byte == b'\n').count()
}

/// A key may stand once.
fn twice(rows: &[GivenKey]) -> Option<(usize, String)> {
    let mut seen = std::collections::BTreeMap::new();
    rows.iter().find_map(|given| {
        let before = seen.insert(&given.key, given)?;
        let key = given.key.join(", ");
        Some((given.line, format!("the key {key} stands in line {} already", before.line)))
    })
}

fn described(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, the first line {expected_len}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> String {
        let rule: Rule =
            toml::from_str("name = \"given\"\ntable = \"public.orders\"\ncsv = \"keys.csv\"").unwrap();
        match parse(&rule, Path::new("keys.csv"), bytes) {
            Ok(keys) => format!("{keys:?}"),
            Err(Unusable(why)) => why,
        }
    }

    #[test]
    fn keys_with_their_lines() {
        insta::assert_snapshot!(told("\u{feff}id, tenant\n7,a\n\n\"8,\n9\",b\n10,c\n".as_bytes()), @r#"GivenKeys { columns: [id], rows: [GivenKey { line: 2, key: ["7"], tenant: "a" }, GivenKey { line: 4, key: ["8,\n9"], tenant: "b" }, GivenKey { line: 6, key: ["10"], tenant: "c" }] }"#);
    }

    #[test]
    fn files_that_cannot_be_meant() {
        for (at, text) in [
            "id,tenant\n1,a\n2\n",
            "id\n1\n",
            "tenant\na\n",
            "",
            "id,tenant\n",
            "id,tenant\n1,a\n2,\n",
            "id,tenant\n1,a\n2,b\n1,b\n",
        ]
        .iter()
        .enumerate()
        {
            insta::allow_duplicates! {
                if at == 0 { insta::assert_snapshot!(told(text.as_bytes()), @"[[rule]] given: keys.csv, line 3: it has 1 fields, the first line 2"); }
            }
            assert!(told(text.as_bytes()).contains("keys.csv, line "), "{text}");
        }
        insta::assert_snapshot!(told(b"id,tenant\n1,a\n2,\xff\n"), @"[[rule]] given: keys.csv, line 3: it is not UTF-8; save the file in that encoding");
        insta::assert_snapshot!(told(b"id,tenant\n1,a\n1,b\n"), @"[[rule]] given: keys.csv, line 3: the key 1 stands in line 2 already");
        insta::assert_snapshot!(told(b"id,shop\n1,a\n"), @"[[rule]] given: keys.csv, line 1: the first line names the columns: those of a key of public.orders, and `tenant`; it has id, shop");
    }
}
