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
        if !posture.reach.contains_key(&view.name) {
            continue;
        }
        // Shared tables are everybody's; of a function, only a parsed body says what it reads, and that not of its callees.
        let mut from: Vec<String> = posture
            .reads(&view.name)
            .into_iter()
            .filter(|name| posture.catalog.table(name).is_some() && posture.class(name) != Some("shared"))
            .filter(|name| posture.classes.is_some() || posture.is_scoped(name))
            .map(ToString::to_string)
            .collect();
        from.extend(posture.calls.get(&view.name).into_iter().flatten().map(|called| match called.touches.as_slice() {
            [] => called.signature.clone(),
            touches => format!("{} (which reads {})", called.signature, list(touches)),
        }));
        if from.is_empty() {
            continue;
        }
        let message = format!("stores rows of {}, and no policy can filter a materialised view", list(from));
        let from = posture.grantees(Some(&view.owner));
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
        assert_eq!(bad[0].mend, r#"REVOKE ALL ON "public"."totals" FROM PUBLIC, "bastide_app";"#);
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
