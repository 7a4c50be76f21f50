//! What can be told of a function without running it, and what planning and verification must see alike.

use crate::Function;

/// Why a function may run what it did not mean to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault<'a> {
    /// It has no `SET search_path`, so names are looked up in its caller's schemas.
    Unset,
    /// It does not name `pg_temp` last, so that is looked into first.
    TempFirst,
    /// It names a schema where somebody else may create objects.
    Open(&'a str),
}

impl Function {
    /// Its body is text to the server, too; naming NOTIFY is as near as one gets.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.source.to_lowercase().contains("notify")
    }

    /// Where its `search_path` leads others than its author may put things; `open` says of a schema whether they may.
    pub fn path_fault(&self, open: impl Fn(&str) -> bool) -> Option<PathFault<'_>> {
        let Some(path) = search_path(&self.settings) else { return Some(PathFault::Unset) };
        if path.last() != Some(&"pg_temp") {
            return Some(PathFault::TempFirst);
        }
        path.into_iter().find(|schema| *schema == "$user" || open(schema)).map(PathFault::Open)
    }
}

/// The schemas that `SET search_path = …` of a function names; `None` where it has no such clause.
#[must_use]
pub fn search_path(settings: &[String]) -> Option<Vec<&str>> {
    let path = settings.iter().find_map(|setting| setting.strip_prefix("search_path="))?;
    Some(
        path.split(',')
            .map(|schema| schema.trim().trim_matches('"'))
            .filter(|schema| !schema.is_empty())
            .collect(),
    )
}
