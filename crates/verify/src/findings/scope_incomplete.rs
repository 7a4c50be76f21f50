//! A scoped table that is gone, has lost its tenant column, or nothing scoped at all: there is nothing to hold policies to.

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-008",
    title: "bastide.scoped_tables does not match the schema",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    if posture.declared().next().is_none() {
        return vec![Weakness::advised(
            Severity::Critical,
            "bastide.scoped_tables",
            "names no table: nothing is scoped, so nothing was looked at",
            "Run `bastide rls plan`, review it, then `bastide rls migrate`.",
        )];
    }
    let mut found = Vec::new();
    for (name, scoped) in &posture.scoped {
        let message = match posture.catalog.table(name) {
            None => "is named by bastide.scoped_tables, but does not exist".to_owned(),
            Some(table) if table.column(&scoped.tenant_column).is_none() => {
                format!("has no column `{}`, by which it is said to be scoped", scoped.tenant_column)
            }
            Some(_) => continue,
        };
        let mend = "Plan again (`bastide rls plan`): the schema changed since the run.";
        found.push(Weakness::advised(Severity::Critical, name, message, mend));
    }
    for (name, class) in posture.classes.iter().flatten() {
        if class == "scoped" && !posture.is_scoped(name) && posture.catalog.table(name).is_some() {
            let message = "was scoped by the run, but bastide.scoped_tables does not name it any more";
            let mend = "Put its row back into bastide.scope, or plan again (`bastide rls plan`).";
            found.push(Weakness::advised(Severity::Critical, name, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_missing_table_a_missing_column_and_an_empty_scope_are_found() {
        let gone = found(&CHECK, |posture| drop(posture.catalog.tables.remove(&fixture::public("lines"))));
        assert_eq!(gone[0].object, "public.lines");
        let column = found(&CHECK, |posture| fixture::spoil(posture, "lines").columns.truncate(1));
        assert!(column[0].message.contains("tenant_id"));
        assert_eq!(found(&CHECK, |posture| posture.scoped.clear()).len(), 1);
    }

    #[test]
    fn a_scope_that_matches_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
