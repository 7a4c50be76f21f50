//! A table the run closed (excluded, or nothing says whose its rows are) that the application was let into since.

use bastide_sql::sql;

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check { id: "BST-044", title: "a closed table is in reach", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let closed = posture.reach.keys().filter(|name| posture.class(name) == Some("closed"));
    let reached = closed.map(|name| {
        let owner = posture.catalog.table(name).map(|table| &table.owner);
        let message = format!("was closed by the run, but `{}` has privileges on it", posture.app);
        let mend = sql!("REVOKE ALL ON {} FROM {}", name, posture.grantees(owner));
        Weakness::new(Severity::Critical, name, message, mend)
    });
    let views = posture.owners_views().filter_map(|view| {
        let reads = posture.reads_as_owner(&view.name).into_iter();
        let closed = list(reads.filter(|name| posture.class(name) == Some("closed")));
        let message = format!("shows `{}` rows of {closed}, which the run closed", posture.app);
        let mend = sql!("REVOKE ALL ON {} FROM {}", view.name, posture.grantees(Some(&view.owner)));
        (!closed.is_empty()).then(|| Weakness::new(Severity::Critical, &view.name, message, mend))
    });
    reached.chain(views).collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Posture, findings::found, posture::fixture};

    fn closed(posture: &mut Posture, name: &str) {
        let classes = posture.classes.get_or_insert_default();
        classes.insert(fixture::public(name), "closed".to_owned());
    }

    #[test]
    fn a_closed_table_in_reach_is_found() {
        assert_eq!(found(&CHECK, |posture| closed(posture, "countries"))[0].object, "public.countries");
    }

    #[test]
    fn out_of_reach_it_is_silent() {
        assert_eq!(found(&CHECK, |posture| closed(posture, "notes")), []);
    }
}
