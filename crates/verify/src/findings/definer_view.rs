//! A view without `security_invoker` reads with the rights, and under the policies, of its owner.

use bastide_sql::sql;

use super::{Check, Weakness, list};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-030",
    title: "a view reads scoped tables as its owner",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for view in posture.catalog.views.values().filter(|view| !view.materialised && !view.security_invoker) {
        let scoped = posture.scoped_reads(&view.name);
        if scoped.is_empty() || !posture.reach.contains_key(&view.name) {
            continue;
        }
        let message = format!("reads {} as `{}`, whatever the policies say about who asks", list(scoped), view.owner);
        let mend = sql!("ALTER VIEW {} SET (security_invoker = true)", view.name);
        found.push(Weakness::new(Severity::Critical, &view.name, message, mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use bastide_catalog::Catalog;

    use crate::{findings::found, posture::fixture};

    fn definer(catalog: &mut Catalog) {
        catalog.views.get_mut(&fixture::public("totals")).unwrap().security_invoker = false;
    }

    #[test]
    fn directly_and_through_another_view() {
        let direct = found(&CHECK, |posture| definer(&mut posture.catalog));
        assert_eq!(direct[0].object, "public.totals");
        let outer = found(&CHECK, |posture| {
            let mut view = fixture::view("outer", &["totals"]);
            view.security_invoker = false;
            posture.catalog.views.insert(view.name.clone(), view);
            posture.reach.insert(fixture::public("outer"), fixture::reach(&["SELECT"]));
        });
        assert_eq!(outer[0].object, "public.outer");
        assert!(outer[0].message.contains("public.orders"));
    }

    #[test]
    fn out_of_reach_or_over_shared_tables_only_is_silent() {
        let unreached = found(&CHECK, |posture| {
            definer(&mut posture.catalog);
            posture.reach.remove(&fixture::public("totals"));
        });
        assert_eq!(unreached, []);
        let shared = found(&CHECK, |posture| {
            definer(&mut posture.catalog);
            posture.catalog.views.get_mut(&fixture::public("totals")).unwrap().reads = vec![fixture::public("countries")];
        });
        assert_eq!(shared, []);
    }
}
