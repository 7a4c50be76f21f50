//! A server whose minor release has a known hole in row security, or in what backups are made with.

use super::{Check, Weakness, list};
use crate::{Cve, Posture, Severity, cves};

pub(super) const CHECK: Check = Check { id: "BST-060", title: "the server has a known hole", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let version = posture.catalog.server.version;
    let known: Vec<&Cve> = cves::affecting(version).collect();
    let mut found = Vec::new();
    for (opens, severity) in [(true, Severity::Critical), (false, Severity::Info)] {
        let known: Vec<&&Cve> = known.iter().filter(|cve| cve.opens_rows == opens).collect();
        let Some(minor) = known.iter().filter_map(|cve| cve.fixed_in(version)).max() else { continue };
        let message = list(known.iter().map(|cve| format!("{} ({})", cve.id, cve.what)));
        let mend = format!("Update the server to {}.{minor} or later.", version / 10_000);
        found.push(Weakness::advised(severity, cves::name(version), message, mend));
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
    fn a_patched_one_is_silent() {
        assert_eq!(found(&CHECK, |posture| posture.catalog.server.version = 150_020), []);
        assert_eq!(found(&CHECK, |posture| posture.catalog.server.version = 180_007), []);
    }
}
