//! Versions of rows that two people may change at once.
//!
//! An update takes the [`Version`] its caller read and has it in its WHERE, `($n IS NULL OR version = $n)`, so that whoever comes second
//! changes nothing and is told so.

/// What a writer expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Whatever is there.
    Any,
    Exactly(i64),
    /// The caller read something else: nothing matches.
    Never,
}

impl Version {
    /// The bind parameter: NULL for any, and a version that no row has for never.
    #[must_use]
    pub fn parameter(self) -> Option<i64> {
        match self {
            Self::Any => None,
            Self::Exactly(version) => Some(version),
            Self::Never => Some(i64::MIN),
        }
    }
}

/// What became of an update or a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a lost race is no error of the database's"]
pub enum Changed<T> {
    Now(T),
    /// Nothing was changed: the row has another version by now.
    Stale {
        current: i64,
    },
    /// There is no such row.
    Gone,
}

impl<T> Changed<T> {
    /// From the row that the update returned, or else the version that is there.
    pub fn of(written: Option<T>, current: Option<i64>) -> Self {
        match (written, current) {
            (Some(row), _) => Self::Now(row),
            (None, Some(current)) => Self::Stale { current },
            (None, None) => Self::Gone,
        }
    }
}
