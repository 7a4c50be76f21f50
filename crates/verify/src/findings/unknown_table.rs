//! A table the application reaches that the run did not know: made since, by a migration of the shop's own.

use bastide_sql::{QualifiedName, sql};

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check { id: "BST-042", title: "a table in reach was never classified", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    if posture.classes.is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let unknown = |name: &QualifiedName| {
        posture.catalog.table(name).filter(|table| {
            let known = posture.is_scoped(name) || posture.class(name).is_some();
            !known && !table.parents.iter().any(|parent| posture.class(parent).is_some())
        })
    };
    for view in posture.owners_views() {
        let unknown =
            list(posture.reads_as_owner(&view.name).into_iter().filter(|name| unknown(name).is_some()));
        if !unknown.is_empty() {
            let message =
                format!("shows `{}` rows of {unknown}, and no run has decided whose they are", posture.app);
            let mend = sql!("REVOKE ALL ON {} FROM {}", view.name, posture.grantees(Some(&view.owner)));
            found.push(Weakness::new(Severity::Critical, &view.name, message, mend));
        }
    }
    for table in posture.reach.keys().filter_map(unknown) {
        let message = format!("`{}` reaches it, and no run has decided whose its rows are", posture.app);
        let mend = sql!("REVOKE ALL ON {} FROM {}", table.name, posture.grantees(Some(&table.owner)));
        found.push(Weakness::new(Severity::Critical, &table.name, message, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Posture, findings::found, posture::fixture};

    fn new_table(posture: &mut Posture) {
        let table = fixture::table("wishes", vec![fixture::column("id", "bigint")]);
        posture.catalog.tables.insert(table.name.clone(), table);
    }

    #[test]
    fn a_new_table_in_reach_is_found() {
        let bad = found(&CHECK, |posture| {
            new_table(posture);
            posture.reach.insert(fixture::public("wishes"), fixture::reach(&["SELECT"]));
        });
        assert_eq!(bad[0].object, "public.wishes");
    }

    #[test]
    fn out_of_reach_it_is_silent() {
        assert_eq!(found(&CHECK, new_table), []);
    }
}
