//! Parameters that only superusers may set, given away: some make the server load code, some drop its own checks.

use bastide_catalog::DECISIVE_PARAMETERS;
use bastide_sql::{Ident, Sql, join, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-017", title: "the application may set what only superusers may", run };

/// `session_replication_role` is a finding of its own.
const ELSEWHERE: &str = "session_replication_role";

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for grant in posture
        .around
        .parameters
        .iter()
        .filter(|grant| grant.parameter != ELSEWHERE || grant.privilege != "SET")
    {
        let severity = match grant.privilege.as_str() {
            "ALTER SYSTEM" => Severity::Critical,
            _ if DECISIVE_PARAMETERS.contains(&grant.parameter.as_str()) => Severity::Critical,
            _ => Severity::Info,
        };
        let parameter =
            sql!("{}", join(grant.parameter.split('.').filter_map(|part| Ident::new(part).ok()), "."));
        let from = grant.grantee.as_ref().map_or_else(|| sql!("PUBLIC"), |role| sql!("{}", role));
        let privilege = Sql::trusted(grant.privilege.clone());
        let message = format!("has {} on the parameter `{}`", grant.privilege, grant.parameter);
        let mend = sql!("REVOKE {} ON PARAMETER {} FROM {}", privilege, parameter, from);
        found.push(Weakness::new(severity, &posture.app, message, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{
        Severity,
        findings::found,
        posture::{ParameterGrant, fixture},
    };

    fn grant(parameter: &str, privilege: &str) -> ParameterGrant {
        let (parameter, privilege) = (parameter.to_owned(), privilege.to_owned());
        ParameterGrant { parameter, privilege, grantee: Some(fixture::ident("bastide_app")) }
    }

    #[test]
    fn what_decides_is_found_and_mended() {
        let bad = found(&CHECK, |posture| {
            posture.around.parameters =
                vec![grant("log_statement", "ALTER SYSTEM"), grant("lo_compat_privileges", "SET")];
        });
        assert!(bad.iter().all(|weakness| weakness.severity == Severity::Critical));
        assert_eq!(bad[1].mend, r#"REVOKE SET ON PARAMETER "lo_compat_privileges" FROM "bastide_app";"#);
    }

    #[test]
    fn what_only_slows_down_or_logs_is_informational() {
        let good =
            found(&CHECK, |posture| posture.around.parameters = vec![grant("deadlock_timeout", "SET")]);
        assert_eq!(good[0].severity, Severity::Info);
    }
}
