//! Known holes of PostgreSQL 15 and later that touch row security, what guards it, or backups. Data: to add one, copy what the
//! project's own advisory says. Looked through on 2026-11-30, up to the releases 15.20, 16.16, 17.12 and 18.7.
//!
//! Sources: `https://www.postgresql.org/support/security/<id>/` for each id, and the release notes of the releases named.
//! Holes that only crash a server, reach memory, or are in modules that Bastide does not use are left out; so are those
//! that were mended before 15.0 (CVE-2017-7484, CVE-2019-10130, CVE-2022-1552, CVE-2022-2625).

/// One hole, and since which minor release of each major one it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cve {
    pub id: &'static str,
    /// What it lets somebody do, in a few words.
    pub what: &'static str,
    /// The application's login by itself could see or write rows that policies hide: no migration there, and no isolation.
    /// Others take a change of roles, rights the application has not, or somebody who restores a hostile dump.
    pub opens_rows: bool,
    /// Major version, and the first minor release without it. A major version that is not named never had it.
    pub fixed: &'static [(u32, u32)],
}

pub const CVES: &[Cve] = &[
    rows("CVE-2023-2455", "policies of another role apply after a function is inlined", &[(15, 3)]),
    rows("CVE-2023-39418", "MERGE does not enforce policies for UPDATE and SELECT", &[(15, 4)]),
    rows("CVE-2024-10976", "policies of another role apply below sub-queries", &[(15, 9), (16, 5), (17, 1)]),
    rows(
        "CVE-2025-8713",
        "planner statistics show hidden rows of partitions and views",
        &[(15, 14), (16, 10), (17, 6)],
    ),
    other("CVE-2023-2454", "CREATE SCHEMA gets round a fixed search_path", &[(15, 3)]),
    other("CVE-2023-39417", "extension scripts can be made to run somebody's SQL", &[(15, 4)]),
    other("CVE-2024-0985", "REFRESH … CONCURRENTLY runs SQL as who refreshes", &[(15, 6)]),
    other("CVE-2024-4317", "pg_stats_ext shows other users' statistics", &[(15, 7), (16, 3)]),
    other("CVE-2024-7348", "pg_dump can be made to run somebody's SQL", &[(15, 8), (16, 4)]),
    other("CVE-2024-10978", "SET ROLE may apply to the wrong role", &[(15, 9), (16, 5), (17, 1)]),
    other("CVE-2024-10979", "PL/Perl changes the server's environment", &[(15, 9), (16, 5), (17, 1)]),
    other("CVE-2025-1094", "libpq's quoting lets SQL in through invalid text", &[(15, 11), (16, 7), (17, 3)]),
    other(
        "CVE-2025-8714",
        "a hostile server's dump runs code where it is restored",
        &[(15, 14), (16, 10), (17, 6)],
    ),
    other(
        "CVE-2025-8715",
        "a name with a line break runs code where a dump is restored",
        &[(15, 14), (16, 10), (17, 6)],
    ),
    other(
        "CVE-2026-6472",
        "CREATE TYPE makes types where its caller may not",
        &[(15, 18), (16, 14), (17, 10), (18, 4)],
    ),
    other(
        "CVE-2026-14666",
        "saved plans keep the policies of before a change of roles",
        &[(15, 19), (16, 15), (17, 11), (18, 6)],
    ),
    other(
        "CVE-2026-15741",
        "a dumped EXTRACT() can hold somebody's SQL",
        &[(15, 19), (16, 15), (17, 11), (18, 6)],
    ),
    other(
        "CVE-2026-18408",
        "a hostile server's dump runs code by \\unrestrict",
        &[(15, 19), (16, 15), (17, 11), (18, 6)],
    ),
    other(
        "CVE-2026-19385",
        "a function can overrun pg_dump's memory",
        &[(15, 19), (16, 15), (17, 11), (18, 6)],
    ),
];

/// The holes of a server with this `server_version_num`.
pub fn affecting(version: u32) -> impl Iterator<Item = &'static Cve> {
    CVES.iter().filter(move |cve| cve.fixed_in(version).is_some())
}

/// As people write it: `PostgreSQL 15.18`.
#[must_use]
pub fn name(version: u32) -> String {
    format!("PostgreSQL {}.{}", version / 10_000, version % 10_000)
}

impl Cve {
    /// The first minor release without it, when this server has it.
    #[must_use]
    pub fn fixed_in(&self, version: u32) -> Option<u32> {
        let (_, minor) = self.fixed.iter().find(|(major, _)| version / 10_000 == *major)?;
        (version % 10_000 < *minor).then_some(*minor)
    }

    /// The project's own word on it.
    #[must_use]
    pub fn source(&self) -> String {
        format!("https://www.postgresql.org/support/security/{}/", self.id)
    }
}

const fn rows(id: &'static str, what: &'static str, fixed: &'static [(u32, u32)]) -> Cve {
    Cve { id, what, opens_rows: true, fixed }
}

const fn other(id: &'static str, what: &'static str, fixed: &'static [(u32, u32)]) -> Cve {
    Cve { id, what, opens_rows: false, fixed }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_minor_release_has_a_hole_until_the_one_that_closes_it() {
        let ids = |version| affecting(version).map(|cve| cve.id).collect::<BTreeSet<_>>();
        assert!(ids(150_003).contains("CVE-2023-39418") && !ids(150_004).contains("CVE-2023-39418"));
        assert!(!ids(160_000).contains("CVE-2023-39418"), "16 was released without it");
        assert_eq!(ids(180_006), BTreeSet::new());
        assert!(affecting(150_018).all(|cve| !cve.opens_rows));
    }

    #[test]
    fn every_entry_is_well_formed_and_stands_once() {
        let ids: BTreeSet<&str> = CVES.iter().map(|cve| cve.id).collect();
        assert_eq!(ids.len(), CVES.len());
        for cve in CVES {
            assert!(cve.id.starts_with("CVE-20") && !cve.fixed.is_empty(), "{}", cve.id);
            assert!(cve.fixed.iter().all(|(major, _)| (15..=18).contains(major)), "{}", cve.id);
            assert!(cve.fixed.is_sorted(), "{}", cve.id);
        }
    }
}
