//! Row security has no hold on what a foreign server returns.

use bastide_catalog::TableKind;
use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-048",
    title: "a foreign table is in reach",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let foreign = posture.catalog.tables.values().filter(|table| table.kind == TableKind::Foreign);
    foreign
        .filter(|table| posture.reach.contains_key(&table.name))
        .map(|table| {
            let message = format!("is a foreign table in reach of `{}`, and no policy filters it", posture.app);
            let mend = sql!("REVOKE ALL ON {} FROM {}", table.name, posture.grantees(Some(&table.owner)));
            Weakness::new(Severity::Warning, &table.name, message, mend)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::TableKind;

    use crate::{Posture, findings::found, posture::fixture};

    fn foreign(posture: &mut Posture) {
        fixture::spoil(posture, "countries").kind = TableKind::Foreign;
    }

    #[test]
    fn one_in_reach_is_found() {
        assert_eq!(found(&CHECK, foreign)[0].object, "public.countries");
    }

    #[test]
    fn one_out_of_reach_is_silent() {
        let good = found(&CHECK, |posture| {
            foreign(posture);
            posture.reach.remove(&fixture::public("countries"));
        });
        assert_eq!(good, []);
    }
}
