//! USAGE on a foreign server is a connection under whatever login its user mapping holds, maybe back to this database; USAGE
//! on a wrapper makes servers.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-051", title: "the application may use a foreign server", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let foreign = posture.around.foreign.iter();
    foreign
        .map(|foreign| {
            let from = posture.grantees(None);
            let (severity, message, mend) = if foreign.wrapper {
                let message = format!("`{}` may make foreign servers with this wrapper", posture.app);
                (
                    Severity::Warning,
                    message,
                    sql!("REVOKE USAGE ON FOREIGN DATA WRAPPER {} FROM {}", foreign.name, from),
                )
            } else {
                let login = if foreign.mapped {
                    "with the login that a user mapping lends it"
                } else {
                    "with a login of its own"
                };
                let message = format!("`{}` may connect through it, {login}", posture.app);
                (
                    Severity::Warning,
                    message,
                    sql!("REVOKE USAGE ON FOREIGN SERVER {} FROM {}", foreign.name, from),
                )
            };
            let kind = if foreign.wrapper { "wrapper" } else { "server" };
            Weakness::new(severity, &foreign.name, message, mend)
                .unless_accepted(posture, &format!("{kind}:{}", foreign.name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{
        findings::found,
        posture::{Foreign, fixture},
    };

    #[test]
    fn a_server_and_a_wrapper_are_found() {
        let bad = found(&CHECK, |posture| {
            let foreign = |name, wrapper, mapped| Foreign { name: fixture::ident(name), wrapper, mapped };
            posture.around.foreign = vec![foreign("far", false, true), foreign("w", true, false)];
        });
        assert!(bad[0].message.contains("user mapping") && bad[0].mend.contains("FOREIGN SERVER \"far\""));
        assert!(bad[1].mend.contains("FOREIGN DATA WRAPPER"));
    }

    #[test]
    fn none_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
