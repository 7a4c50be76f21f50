//! A server whose minor release has a known hole in row security, or in what backups are made with.

use bastide_catalog::cves::{self, Cve, Opens};

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check { id: "BST-060", title: "the server has a known hole", run };

/// The question of the plan that asks about it.
const SEAL_DOES_NOT_HOLD: &str = "seal:server";

fn run(posture: &Posture) -> Vec<Weakness> {
    let version = posture.catalog.server.version;
    // Who can have SQL of theirs run forges a plain context without any hole; a sealed one is to withstand just them.
    let to_crafted_sql =
        if posture.catalog.server.sealed_context { Severity::Warning } else { Severity::Info };
    let groups = [
        (Opens::Rows, Severity::Critical, ""),
        (Opens::ToCraftedSql, to_crafted_sql, "shows hidden rows to SQL written for it: "),
        (Opens::Elsewhere, Severity::Info, ""),
    ];
    let mut found = Vec::new();
    for (opens, severity, lead) in groups {
        let known: Vec<&Cve> = cves::affecting(version).filter(|cve| cve.opens == opens).collect();
        let Some(minor) = known.iter().filter_map(|cve| cve.fixed_in(version)).max() else { continue };
        let known = list(known.iter().map(|cve| format!("{} ({})", cve.id, cve.what)));
        let mend = format!("Update the server to {}.{minor} or later.", version / 10_000);
        let weakness = Weakness::advised(severity, cves::name(version), format!("{lead}{known}"), mend);
        found.push(if opens == Opens::ToCraftedSql {
            weakness.unless_accepted(posture, SEAL_DOES_NOT_HOLD)
        } else {
            weakness
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Severity, findings::found, posture::fixture};

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
    fn it_counts_where_the_context_is_sealed_until_the_operator_accepts_it() {
        let crafted = |accepted: &[&str]| {
            let bad = found(&CHECK, |posture| {
                posture.catalog.server.version = 150_018;
                posture.catalog.server.sealed_context = true;
                fixture::accept(posture, accepted);
            });
            (bad[0].severity, bad[0].message.contains("the operator accepted that"), bad[1].severity)
        };
        assert_eq!(crafted(&[]), (Severity::Warning, false, Severity::Info));
        assert_eq!(crafted(&["seal:server"]), (Severity::Info, true, Severity::Info));
    }

    #[test]
    fn a_patched_one_is_silent() {
        assert_eq!(found(&CHECK, |posture| posture.catalog.server.version = 150_020), []);
        assert_eq!(found(&CHECK, |posture| posture.catalog.server.version = 180_007), []);
    }
}
