//! The server withholds some of its own functions and catalogs from PUBLIC: they read files, samples of every tenant's rows,
//! passwords. Somebody gave one to the application.

use bastide_catalog::View;
use bastide_sql::{Sql, sql};

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-018", title: "the application may use what the server withholds", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let withheld = posture.around.withheld.iter();
    withheld
        .map(|withheld| {
            let message = if bastide_catalog::shows_statistics(&withheld.object) {
                format!(
                    "shows `{}` values of rows that it may not see, out of statistics on expressions: the database is of before \
                     15.7 or 16.3, and an update leaves the view as it was (CVE-2024-4317)",
                    posture.app
                )
            } else {
                format!(
                    "`{}` has {} on it, which PostgreSQL gives to nobody by itself",
                    posture.app, withheld.privileges
                )
            };
            let object = Sql::trusted(withheld.object.clone());
            let kind = Sql::trusted(if withheld.routine { "ROUTINE " } else { "" });
            let privileges = Sql::trusted(withheld.privileges.clone());
            let mend = sql!("REVOKE {} ON {}{} FROM {}", privileges, kind, object, posture.grantees(None));
            Weakness::new(Severity::Critical, &withheld.object, message, mend)
        })
        .chain(posture.owners_views().filter_map(|view| shown(posture, view)))
        .collect()
}

/// A view that reads it as an owner who may.
fn shown(posture: &Posture, view: &View) -> Option<Weakness> {
    let reads = posture.reads_as_owner(&view.name).into_iter().chain([&view.name]);
    let secrets = list(reads.filter_map(|name| posture.around.secret_reads.get(name)).flatten());
    let message =
        format!("shows `{}` what is in {secrets}, which PostgreSQL shows nobody by itself", posture.app);
    let mend = sql!("REVOKE ALL ON {} FROM {}", view.name, posture.grantees(Some(&view.owner)));
    (!secrets.is_empty()).then(|| Weakness::new(Severity::Critical, &view.name, message, mend))
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{
        findings::found,
        posture::{Withheld, fixture},
    };

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
    fn a_view_of_statistics_that_asks_nobody_is_found_by_its_hole() {
        let bad = found(&CHECK, |posture| {
            posture.around.withheld.push(Withheld {
                object: "pg_catalog.pg_stats_ext_exprs".to_owned(),
                routine: false,
                privileges: "SELECT".to_owned(),
            });
        });
        assert!(bad[0].message.contains("CVE-2024-4317"), "{bad:?}");
        let mend = r#"REVOKE SELECT ON pg_catalog.pg_stats_ext_exprs FROM PUBLIC, "bastide_app";"#;
        assert_eq!(bad[0].mend, mend);
    }

    #[test]
    fn a_view_over_a_catalog_is_found_where_it_reads_as_its_owner() {
        for (security_invoker, expected) in [(false, 1), (true, 0)] {
            let bad = found(&CHECK, |posture| {
                let view = fixture::public("totals");
                posture.catalog.views.get_mut(&view).unwrap().security_invoker = security_invoker;
                posture.around.secret_reads.insert(view, vec!["pg_catalog.pg_statistic".to_owned()]);
            });
            assert_eq!(bad.len(), expected, "{bad:?}");
        }
    }

    #[test]
    fn nothing_given_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
