//! Large objects have no rows and so no policies: who may read one reads it, whosever it is.

use bastide_sql::{Ident, Sql, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check { id: "BST-050", title: "large objects are in reach", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for large in &posture.around.large_objects {
        let message = format!("`{}` has {} on it, and no policy filters it", posture.app, large.privileges);
        let oid = Sql::trusted(large.oid.to_string());
        let mend = sql!("REVOKE ALL ON LARGE OBJECT {} FROM {}", oid, posture.grantees(None));
        let weakness =
            Weakness::new(Severity::Warning, format!("large object {}", large.oid), message, mend);
        found.push(weakness.unless_accepted(posture, "large_objects"));
    }
    let preset = posture.presets.iter().find(|preset| preset.setting.starts_with("lo_compat_privileges="));
    if posture.around.lo_compat || preset.is_some_and(|preset| !preset.setting.ends_with("=off")) {
        let parameter = Ident::constant("lo_compat_privileges");
        let mend = match preset.map(|preset| (&preset.role, &preset.database)) {
            Some((Some(role), Some(database))) => {
                sql!("ALTER ROLE {} IN DATABASE {} RESET {}", role, database, parameter)
            }
            Some((Some(role), None)) => sql!("ALTER ROLE {} RESET {}", role, parameter),
            Some((None, Some(database))) => sql!("ALTER DATABASE {} RESET {}", database, parameter),
            Some((None, None)) => sql!("ALTER ROLE ALL RESET {}", parameter),
            None => sql!("ALTER SYSTEM RESET {}; SELECT pg_catalog.pg_reload_conf()", parameter),
        };
        let message = "is on: every login reads and writes every large object";
        let weakness = Weakness::new(Severity::Critical, "lo_compat_privileges", message, mend);
        found.push(weakness.unless_accepted(posture, "large_objects:all"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::LargeObject};

    #[test]
    fn a_granted_one_and_the_setting_are_found() {
        let bad = found(&CHECK, |posture| {
            posture.around.large_objects.push(LargeObject { oid: 4711, privileges: "SELECT".to_owned() });
        });
        assert_eq!(bad[0].mend, r#"REVOKE ALL ON LARGE OBJECT 4711 FROM PUBLIC, "bastide_app";"#);
        let setting = found(&CHECK, |posture| posture.around.lo_compat = true);
        assert!(setting[0].mend.starts_with("ALTER SYSTEM RESET"));
    }

    #[test]
    fn none_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
