//! Row security never applies to a materialised view: what it stored, everybody with SELECT sees.

use bastide_sql::sql;

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-031",
    title: "a materialised view holds rows of every tenant",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for view in posture.catalog.views.values().filter(|view| view.materialised) {
        let scoped = posture.scoped_reads(&view.name);
        let Some(reach) = posture.reach.get(&view.name).filter(|_| !scoped.is_empty()) else { continue };
        let message =
            format!("stores rows of {}, and no policy can filter a materialised view", list(scoped));
        let from = if reach.through_public { sql!("PUBLIC") } else { sql!("{}", posture.app) };
        found.push(Weakness::new(Severity::Critical, &view.name, message, sql!("REVOKE ALL ON {} FROM {}", view.name, from)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Posture, findings::found, posture::fixture};

    fn stored(posture: &mut Posture) {
        posture.catalog.views.get_mut(&fixture::public("totals")).unwrap().materialised = true;
    }

    #[test]
    fn one_in_reach_is_found() {
        let bad = found(&CHECK, stored);
        assert_eq!(bad[0].mend, r#"REVOKE ALL ON "public"."totals" FROM "bastide_app";"#);
    }

    #[test]
    fn one_out_of_reach_is_silent() {
        let good = found(&CHECK, |posture| {
            stored(posture);
            posture.reach.remove(&fixture::public("totals"));
        });
        assert_eq!(good, []);
    }
}
