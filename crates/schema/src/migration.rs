//! The migrations: compiled in from `migrations/`, or, in tests, any others.

use std::{collections::BTreeMap, fmt::Write};

use bastide_plan::isolate::Treatment;
use bastide_sql::{Ident, QualifiedName};
use sha2::{Digest, Sha256};

use crate::{SchemaError, lines, statements::transaction_control};

/// A migration as it stands in its folder.
#[derive(Clone, Copy, Debug)]
pub struct Files {
    /// `NNNN_name`.
    pub folder: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub isolate: &'static str,
}

macro_rules! files {
    ($folder:literal) => {
        files!($folder, "")
    };
    ($folder:literal, isolate) => {
        files!($folder, include_str!(concat!("../../../migrations/", $folder, "/isolate")))
    };
    ($folder:literal, $isolate:expr) => {
        Files {
            folder: $folder,
            up: include_str!(concat!("../../../migrations/", $folder, "/up.sql")),
            down: include_str!(concat!("../../../migrations/", $folder, "/down.sql")),
            isolate: $isolate,
        }
    };
}

/// A folder that is missing here fails a test.
const EMBEDDED: &[Files] = &[
    files!("0001_shop", isolate),
    files!("0002_lookups"),
    files!("0003_watch"),
    files!("0004_contract", isolate),
    files!("0005_catalogue", isolate),
    files!("0006_accounts", isolate),
    files!("0007_orders", isolate),
];

/// On a line of its own before the first statement of `up.sql`.
const NO_TRANSACTION: &str = "-- bastide: no transaction";

#[derive(Clone, Debug)]
pub struct Migration {
    pub version: i32,
    pub name: String,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
    pub(crate) tables: Vec<(QualifiedName, Treatment)>,
    /// Of its files, in hexadecimal.
    pub checksum: String,
    /// Its statements run one by one, each by itself, and may run again.
    pub no_transaction: bool,
}

/// All there are, numbered from 1 without a gap.
#[derive(Clone, Debug)]
pub struct Migrations(Vec<Migration>);

impl Migrations {
    /// The platform's.
    ///
    /// # Errors
    /// Never, or a test fails.
    pub fn embedded() -> Result<Self, SchemaError> {
        Self::new(EMBEDDED)
    }

    /// # Errors
    /// When a folder's name, `isolate`, or a script is not as migrations are.
    pub fn new(files: &[Files]) -> Result<Self, SchemaError> {
        let read: Vec<Migration> = files.iter().map(Migration::read).collect::<Result<_, _>>()?;
        for (at, migration) in (1..).zip(&read) {
            if migration.version != at {
                let why = format!("its number is {}, and the next is {at}", migration.version);
                return Err(SchemaError::Files { folder: migration.label(), why });
            }
        }
        Ok(Self(read))
    }

    #[must_use]
    pub fn all(&self) -> &[Migration] {
        &self.0
    }

    /// 0 when there is none.
    #[must_use]
    pub fn newest(&self) -> i32 {
        self.0.last().map_or(0, |migration| migration.version)
    }

    #[must_use]
    pub fn get(&self, version: i32) -> Option<&Migration> {
        self.0.iter().find(|migration| migration.version == version)
    }

    /// The table whose rows are the tenants, and its key: whichever migration makes it says so.
    pub(crate) fn root<'a>(&'a self) -> Result<(&'a QualifiedName, &'a Ident), SchemaError> {
        let mut tables = self.0.iter().flat_map(|migration| &migration.tables);
        let root = |(table, treatment): &'a (QualifiedName, Treatment)| match treatment {
            Treatment::Root(column) => Some((table, column)),
            _ => None,
        };
        tables.find_map(root).ok_or_else(|| SchemaError::Files {
            folder: "migrations".to_owned(),
            why: "no `isolate` names the tenant root".to_owned(),
        })
    }

    /// Tells apart whatever would leave a database otherwise, for caches.
    #[must_use]
    pub fn digest(&self) -> String {
        let all: Vec<&str> = self.0.iter().map(|migration| migration.checksum.as_str()).collect();
        checksum(&[all.join(" ").as_str(), bastide_engine::OWN_SCHEMA])
    }
}

impl Migration {
    fn read(files: &Files) -> Result<Self, SchemaError> {
        let wrong = |why: String| SchemaError::Files { folder: files.folder.to_owned(), why };
        let (number, name) =
            files.folder.split_once('_').ok_or_else(|| wrong("a folder is named NNNN_name".to_owned()))?;
        let version: i32 = number.parse().map_err(|_| wrong(format!("{number} is no number")))?;
        let tables = lines::parse(files.isolate).map_err(|why| wrong(format!("isolate, {why}")))?;
        for (file, text) in [("up.sql", files.up), ("down.sql", files.down)] {
            if let Some(word) = transaction_control(text) {
                return Err(wrong(format!(
                    "{file} says {word}; it is whoever runs it that begins and ends transactions"
                )));
            }
        }
        Ok(Self {
            version,
            name: name.to_owned(),
            up: files.up,
            down: files.down,
            tables,
            checksum: checksum(&[files.up, files.down, files.isolate]),
            no_transaction: files
                .up
                .lines()
                .take_while(|line| line.starts_with("--"))
                .any(|line| line.trim_end() == NO_TRANSACTION),
        })
    }

    /// What its `isolate` answers of the questions that planning would ask, by question.
    pub(crate) fn said(&self) -> BTreeMap<String, String> {
        let answer = |(table, treatment): &(QualifiedName, Treatment)| match treatment {
            Treatment::Shared => Some((bastide_plan::classify::question(table), "shared".to_owned())),
            Treatment::Closed => Some((bastide_plan::classify::question(table), "closed".to_owned())),
            // A tenant column that names a tenant says it by itself.
            Treatment::Root(_) | Treatment::Scoped { .. } => None,
        };
        self.tables.iter().filter_map(answer).collect()
    }

    /// As in messages.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.version, &self.name)
    }
}

pub(crate) fn label(version: i32, name: &str) -> String {
    format!("{version:04}_{name}")
}

/// Lengths tell the parts apart. A checkout that changes line ends changes no meaning.
fn checksum(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.replace("\r\n", "\n");
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_compiled_in() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(there, EMBEDDED.iter().map(|files| files.folder).collect::<Vec<_>>());
        for files in EMBEDDED {
            let folder =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(files.folder);
            assert_eq!(folder.join("isolate").exists(), !files.isolate.is_empty(), "{}", files.folder);
        }
        Migrations::embedded().unwrap();
    }

    #[test]
    fn files_that_are_no_migrations_are_refused() {
        let files = |folder, up, isolate| Files { folder, up, down: "", isolate };
        let said = |files: &[Files]| Migrations::new(files).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                said(&[files("0002_late", "", "")]),
                said(&[files("first", "", "")]),
                said(&[files("0001_commits", "SELECT 1; COMMIT", "")]),
                said(&[files("0001_open", "", "public.a open to all")]),
            ].join("\n"),
            @"
    migrations/0002_late: its number is 2, and the next is 1
    migrations/first: a folder is named NNNN_name
    migrations/0001_commits: up.sql says COMMIT; it is whoever runs it that begins and ends transactions
    migrations/0001_open: isolate, line 1: `open to all` is no way to keep public.a apart; write its tenant column, `shared read` or `closed`
    "
        );
    }

    #[test]
    fn a_checksum_tells_where_a_file_ends_and_no_line_ends() {
        assert_ne!(checksum(&["ab", "c"]), checksum(&["a", "bc"]));
        assert_eq!(checksum(&["a\r\nb"]), checksum(&["a\nb"]));
    }
}
