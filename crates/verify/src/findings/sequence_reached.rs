//! A sequence feeds every tenant's rows. Whoever may reset it makes the others' inserts fail; its last value counts them.

use bastide_sql::sql;

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check { id: "BST-026", title: "a sequence that tenants share is open", run };

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (name, privileges) in &posture.around.sequences {
        let Some(sequence) = posture.catalog.sequences.get(name) else { continue };
        let feeds = sequence.owned_by.as_ref().filter(|(table, _)| posture.is_scoped(table));
        let Some((table, _)) = feeds else { continue };
        let (severity, what) = if privileges.contains("UPDATE") {
            (Severity::Warning, "may reset it, and then no tenant can insert into")
        } else if privileges.contains("SELECT") {
            (Severity::Info, "may read how many rows all tenants together ever inserted into")
        } else {
            continue;
        };
        let message = format!("`{}` {what} {table}", posture.app);
        let mend = sql!(
            "REVOKE SELECT, UPDATE ON SEQUENCE {} FROM {}",
            name,
            posture.grantees(Some(&sequence.owner))
        );
        found.push(Weakness::new(severity, name, message, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::Sequence;

    use crate::{Posture, Severity, findings::found, posture::fixture};

    fn granted(posture: &mut Posture, privilege: &str) {
        let name = fixture::public("orders_id_seq");
        let owned_by = Some((fixture::public("orders"), fixture::ident("id")));
        let sequence = Sequence { owner: fixture::ident("shop"), acl: None, owned_by };
        posture.catalog.sequences.insert(name.clone(), sequence);
        posture.around.sequences.entry(name).or_default().insert(privilege.to_owned());
    }

    #[test]
    fn one_that_may_be_reset_is_found_and_one_that_may_be_read_is_told() {
        assert_eq!(found(&CHECK, |posture| granted(posture, "UPDATE"))[0].severity, Severity::Warning);
        assert_eq!(found(&CHECK, |posture| granted(posture, "SELECT"))[0].severity, Severity::Info);
    }

    #[test]
    fn drawing_numbers_is_silent() {
        assert_eq!(found(&CHECK, |posture| granted(posture, "USAGE")), []);
    }
}
