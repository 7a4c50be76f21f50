//! A server whose minor release has a known hole in row security, or in what backups are made with.

use super::{Check, Weakness, list};
use crate::{Cve, Posture, Severity,
    cves::{self, Opens},
};

pub(super) const CHECK: Check = Check { id: "BST-060", title: "the server has a known hole", run };

const GROUPS: [(Opens, Severity, &str); 3] = [
    (Opens::Rows, Severity::Critical, ""),
    (Opens::ToCraftedSql, Severity::Info, "shows hidden rows to SQL written for it: "),
    (Opens::Elsewhere, Severity::Info, ""),
];

fn run(posture: &Posture) -> Vec<Weakness> {
    let version = posture.catalog.server.version;
    let mut found = Vec::new();
    for (opens, severity, lead) in GROUPS {
        let known: Vec<&Cve> = cves::affecting(version).filter(|cve| cve.opens == opens).collect();
        let Some(minor) = known.iter().filter_map(|cve| cve.fixed_in(version)).max() else { continue };
        let known = list(known.iter().map(|cve| format!("{} ({})", cve.id, cve.what)));
        let mend = format!("Update the server to {}.{minor} or later.", version / 10_000);
        found.push(Weakness::advised(severity, cves::name(version), format!("{lead}{known}"), mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Severity, findings::found};

    #[test]
    fn a_release_that_shows_hidden_rows_is_found() {
        let bad = found(&CHECK, |posture| posture.catalog.server.version = 160_004);
        assert_eq!((bad[0].object.as_str(), bad[0].severity), ("PostgreSQL 16.4", Severity::Critical));
        assert!(bad[0].message.contains("CVE-2024-10976"));
        assert_eq!(bad[0].mend, "Update the server to 16.10 or later.");
    }

    #[test]
    fn what_takes_sql_written_for_it_is_said_by_itself() {
        let bad = found(&CHECK, |posture| posture.catalog.server.version = 150_018);
        let [crafted, others] = &bad[..] else { panic!("{bad:?}") };
        assert!([crafted, others].iter().all(|bad| bad.severity == Severity::Info));
        assert!(crafted.message.starts_with("shows hidden rows to SQL written for it: CVE-2026-116327"), "{crafted:?}");
        assert!(others.message.starts_with("CVE-2026-6464") && !others.message.contains("120154"), "{others:?}");
        assert_eq!(crafted.mend, "Update the server to 15.20 or later.");
    }

    #[test]
    fn a_patched_one_is_silent() {
        assert_eq!(found(&CHECK, |posture| posture.catalog.server.version = 150_020), []);
        assert_eq!(found(&CHECK, |posture| posture.catalog.server.version = 180_007), []);
    }
}
