//! The server withholds some of its own functions and catalogs from PUBLIC: they read files, samples of every tenant's rows,
//! passwords. Somebody gave one to the application.

use bastide_sql::{Sql, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-018", title: "the application may use what the server withholds", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let withheld = posture.around.withheld.iter();
    withheld
        .map(|withheld| {
            let message = format!(
                "`{}` has {} on it, which PostgreSQL gives to nobody by itself",
                posture.app, withheld.privileges
            );
            let object = Sql::trusted(withheld.object.clone());
            let kind = Sql::trusted(if withheld.routine { "ROUTINE " } else { "" });
            let privileges = Sql::trusted(withheld.privileges.clone());
            let mend = sql!("REVOKE {} ON {}{} FROM {}", privileges, kind, object, posture.grantees(None));
            Weakness::new(Severity::Critical, &withheld.object, message, mend)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::Withheld};

    #[test]
    fn a_function_that_reads_files_is_found() {
        let bad = found(&CHECK, |posture| {
            posture.around.withheld.push(Withheld {
                object: "pg_catalog.pg_read_file(text)".to_owned(),
                routine: true,
                privileges: "EXECUTE".to_owned(),
            });
        });
        assert_eq!(
            bad[0].mend,
            r#"REVOKE EXECUTE ON ROUTINE pg_catalog.pg_read_file(text) FROM PUBLIC, "bastide_app";"#
        );
    }

    #[test]
    fn nothing_given_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
