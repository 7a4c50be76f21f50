//! Logical replication sends every tenant's rows to its subscribers, where our policies do not reach.

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-049",
    title: "a publication carries scoped rows out",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for publication in &posture.catalog.publications {
        let carried: Vec<_> = posture
            .scoped
            .keys()
            .filter(|name| publication.all_tables || publication.tables.contains(name))
            .collect();
        if !carried.is_empty() {
            let message = format!("sends every tenant's rows of {} to its subscribers", list(carried));
            let advice = "Check who subscribes, and that the copy is protected too.";
            found.push(Weakness::advised(Severity::Info, &publication.name, message, advice));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::Publication;

    use crate::{Posture, findings::found, posture::fixture};

    fn publish(posture: &mut Posture, table: &str) {
        let tables = vec![fixture::public(table)];
        posture.catalog.publications.push(Publication { name: fixture::ident("feed"), all_tables: false, tables, listed: Vec::new() });
    }

    #[test]
    fn a_published_scoped_table_is_mentioned() {
        assert_eq!(found(&CHECK, |posture| publish(posture, "orders"))[0].object, "feed");
    }

    #[test]
    fn a_published_shared_table_is_silent() {
        assert_eq!(found(&CHECK, |posture| publish(posture, "countries")), []);
    }
}
