//! Known holes of PostgreSQL 15 and later that touch row security, what guards it, or backups. Data: to add one, copy what the
//! project's own record says. Looked through on 2026-11-30, up to the releases 15.20, 16.16, 17.12 and 18.7.
//!
//! Sources: the records of the PostgreSQL project as CNA (`cves/<year>/<thousands>xxx/<id>.json` of
//! `https://github.com/CVEProject/cvelistV5`), and the release notes from 15.1 to 15.20, of 17.10 to 17.12 and of 18.1 to 18.6.
//! The four of 2023 were assigned by Red Hat, whose records do not say by release who is affected: the notes do. Of November
//! 2026 there were the record of CVE-2026-116314 and others' copies of those of -120146 and -120154, which name all four
//! releases; for the rest of that day the notes of 15.20 and 17.12 do, and 16.16 and 18.7 are taken to be like them.
//!
//! Left out: holes that only crash a server or reach its memory, however much they run there (there is one in most releases,
//! so a table without a hole is no reason to stay behind); those of modules and programs that Bastide does not use (contrib,
//! pg_basebackup, pg_rewind, pg_createsubscriber, reindexdb); those by which nothing is read or written that should not be
//! (CVE-2025-12817, CVE-2026-6469, CVE-2026-6470, CVE-2026-14672); how connections are made (CVE-2026-14661, -14681); and those
//! that were mended before 15.0 (CVE-2017-7484, CVE-2019-10130, CVE-2022-1552, CVE-2022-2625).

/// One hole, and since which minor release of each major one it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cve {
    pub id: &'static str,
    /// What it lets somebody do, in a few words.
    pub what: &'static str,
    pub opens: Opens,
    /// Major version, and the first minor release without it. A major version that is not named never had it.
    pub fixed: &'static [(u32, u32)],
}

/// To whom rows are open that policies hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// The application's login by itself could see or write them: no migration there, and no isolation.
    Rows,
    /// The same, but only to SQL written to get at them, whose writer can set a plain tenant context anyway; a sealed context
    /// does not hold it back. Said apart from the others, and not refused.
    ToCraftedSql,
    /// It takes a change of roles, rights the application has not, or somebody who restores a hostile dump.
    Elsewhere,
}

const MAY_2026: &[(u32, u32)] = &[(15, 18), (16, 14), (17, 10), (18, 4)];
const AUGUST_2026: &[(u32, u32)] = &[(15, 19), (16, 15), (17, 11), (18, 6)];
const NOVEMBER_2026: &[(u32, u32)] = &[(15, 20), (16, 16), (17, 12), (18, 7)];

pub const CVES: &[Cve] = &[
    rows("CVE-2023-2455", "policies of another role apply after a function is inlined", &[(15, 3)]),
    rows("CVE-2023-39418", "MERGE does not test new rows against policies for UPDATE and SELECT", &[(15, 4)]),
    // The server mends only what initdb makes after it: BST-018 looks at the views themselves.
    rows("CVE-2024-4317", "pg_stats_ext_exprs shows values of hidden rows", &[(15, 7), (16, 3)]),
    rows("CVE-2024-10976", "policies of another role apply below sub-queries", &[(15, 9), (16, 5), (17, 1)]),
    rows(
        "CVE-2025-8713",
        "planner statistics show hidden rows of partitions and views",
        &[(15, 14), (16, 10), (17, 6)],
    ),
    crafted(
        "CVE-2026-116327",
        "a leaky function in CASE or a cast of an array runs before policies",
        NOVEMBER_2026,
    ),
    crafted("CVE-2026-120154", "the WHERE of ON CONFLICT DO UPDATE runs before policies", NOVEMBER_2026),
    other("CVE-2023-2454", "CREATE SCHEMA gets round a fixed search_path", &[(15, 3)]),
    other("CVE-2023-39417", "extension scripts can be made to run somebody's SQL", &[(15, 4)]),
    other("CVE-2024-0985", "REFRESH … CONCURRENTLY runs SQL as who refreshes", &[(15, 6), (16, 2)]),
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
    other("CVE-2026-6464", "psql runs the data of a COPY that failed as commands", AUGUST_2026),
    other("CVE-2026-6467", "an extension's objects can be replaced while it is installed", NOVEMBER_2026),
    other("CVE-2026-6471", "REPLICATION is enough to load any library into the server", AUGUST_2026),
    other("CVE-2026-6472", "CREATE TYPE makes types where its caller may not", MAY_2026),
    other("CVE-2026-6477", "a hostile server overruns pg_dump's memory by a large object", MAY_2026),
    other("CVE-2026-6478", "how long a login takes tells MD5 passwords", MAY_2026),
    other(
        "CVE-2026-6638",
        "REFRESH PUBLICATION runs a subscriber's SQL on the publisher",
        &[(16, 14), (17, 10), (18, 4)],
    ),
    other("CVE-2026-14666", "saved plans keep the policies of before a change of roles", AUGUST_2026),
    other("CVE-2026-15741", "a dumped EXTRACT() can hold somebody's SQL", AUGUST_2026),
    other("CVE-2026-16237", "ON CONFLICT through a view updates rows that it hides", NOVEMBER_2026),
    other("CVE-2026-18408", "a hostile server's dump runs code by \\unrestrict", AUGUST_2026),
    other("CVE-2026-19385", "a function can overrun pg_dump's memory", AUGUST_2026),
    other("CVE-2026-116303", "to_json() and foreign keys run casts that their caller may not", NOVEMBER_2026),
    // From a restrictive policy that names it; planning refuses any of somebody else's that names the application's login.
    other("CVE-2026-116311", "DROP OWNED takes a role out of others' policies", NOVEMBER_2026),
    other("CVE-2026-116314", "a hostile archive runs code in pg_restore", NOVEMBER_2026),
    other(
        "CVE-2026-116316",
        "types in pg_temp stand before others while somebody else's SQL is run",
        NOVEMBER_2026,
    ),
    other("CVE-2026-116330", "restore.sql of a tar dump runs a hostile server's code", NOVEMBER_2026),
    other("CVE-2026-120145", "logical replication writes the server's catalogs", NOVEMBER_2026),
    other("CVE-2026-120146", "REASSIGN OWNED gives away what its caller may not", NOVEMBER_2026),
    other("CVE-2026-120153", "names of schemas and owners let SQL into extension scripts", NOVEMBER_2026),
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
    Cve { id, what, opens: Opens::Rows, fixed }
}

const fn crafted(id: &'static str, what: &'static str, fixed: &'static [(u32, u32)]) -> Cve {
    Cve { id, what, opens: Opens::ToCraftedSql, fixed }
}

const fn other(id: &'static str, what: &'static str, fixed: &'static [(u32, u32)]) -> Cve {
    Cve { id, what, opens: Opens::Elsewhere, fixed }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the last release before each boundary has and the first one after it has not.
    #[test]
    fn a_minor_release_has_a_hole_until_the_one_that_closes_it() {
        let ids = |version| affecting(version).map(|cve| cve.id).collect::<BTreeSet<_>>();
        for (version, closed) in [
            (150_003, "CVE-2023-2454 CVE-2023-2455"),
            (150_004, "CVE-2023-39417 CVE-2023-39418"),
            (150_006, "CVE-2024-0985"),
            (160_002, "CVE-2024-0985"),
            (150_007, "CVE-2024-4317"),
            (160_003, "CVE-2024-4317"),
            (150_008, "CVE-2024-7348"),
            (150_009, "CVE-2024-10976 CVE-2024-10978 CVE-2024-10979"),
            (170_001, "CVE-2024-10976 CVE-2024-10978 CVE-2024-10979"),
            (150_011, "CVE-2025-1094"),
            (170_006, "CVE-2025-8713 CVE-2025-8714 CVE-2025-8715"),
            (150_018, "CVE-2026-6472 CVE-2026-6477 CVE-2026-6478"),
            (160_014, "CVE-2026-6472 CVE-2026-6477 CVE-2026-6478 CVE-2026-6638"),
            (180_004, "CVE-2026-6472 CVE-2026-6477 CVE-2026-6478 CVE-2026-6638"),
            (
                150_019,
                "CVE-2026-6464 CVE-2026-6471 CVE-2026-14666 CVE-2026-15741 CVE-2026-18408 CVE-2026-19385",
            ),
        ] {
            let gone: BTreeSet<&str> = ids(version - 1).difference(&ids(version)).copied().collect();
            assert_eq!(gone, closed.split(' ').collect(), "{version}");
        }
        for last in [150_020, 160_016, 170_012, 180_007] {
            assert_eq!((ids(last), ids(last - 1).len()), (BTreeSet::new(), 12), "{last}");
        }
        assert!(!ids(160_000).contains("CVE-2023-39418"), "16 was released without it");
    }

    #[test]
    fn what_opens_rows_to_any_sql_is_apart_from_what_takes_more() {
        let ids = |version, opens| {
            affecting(version).filter(|cve| cve.opens == opens).map(|cve| cve.id).collect::<Vec<_>>()
        };
        let open = |version| ids(version, Opens::Rows);
        assert_eq!(open(150_013), ["CVE-2025-8713"]);
        assert_eq!(open(160_002), ["CVE-2024-4317", "CVE-2024-10976", "CVE-2025-8713"]);
        for version in [150_014, 150_018, 160_010, 170_006, 180_000] {
            assert_eq!(open(version), Vec::<&str>::new());
            let crafted = ids(version, Opens::ToCraftedSql);
            assert_eq!(crafted, ["CVE-2026-116327", "CVE-2026-120154"], "{version}");
        }
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
