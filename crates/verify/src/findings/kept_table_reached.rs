//! The journal, the assignments and rows held aside name every tenant; the application has no business there.

use bastide_sql::sql;

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check =
    Check { id: "BST-047", title: "the application reaches Bastide's own tables", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (name, reach) in &posture.kept {
        // The view only says which tables are scoped, and scripts rely on it.
        if name.name.as_str() == "scoped_tables" && !reach.may_write() {
            continue;
        }
        let message =
            format!("`{}` has privileges on it; it holds what Bastide knows of every tenant", posture.app);
        let mend = sql!("REVOKE ALL ON {} FROM {}", name, posture.grantees(None));
        found.push(Weakness::new(Severity::Critical, name, message, mend));
    }
    for view in posture.owners_views() {
        let reads = posture.reads_as_owner(&view.name);
        let kept = reads
            .into_iter()
            .filter(|name| name.schema.as_str() == "bastide" && name.name.as_str() != "scoped_tables");
        let kept = list(kept);
        if !kept.is_empty() {
            let message =
                format!("shows `{}` what is in {kept}, which Bastide keeps for itself", posture.app);
            let mend = sql!("REVOKE ALL ON {} FROM {}", view.name, posture.grantees(Some(&view.owner)));
            found.push(Weakness::new(Severity::Critical, &view.name, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_sql::QualifiedName;

    use crate::{findings::found, posture::fixture};

    #[test]
    fn a_grant_on_the_assignments_is_found() {
        let bad = found(&CHECK, |posture| {
            let name = QualifiedName::new(fixture::ident("bastide"), fixture::ident("assignment"));
            posture.kept.insert(name, fixture::reach(&["SELECT"]));
        });
        assert_eq!(bad[0].object, "bastide.assignment");
    }

    #[test]
    fn reading_scoped_tables_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
