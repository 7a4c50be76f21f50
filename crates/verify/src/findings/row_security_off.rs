//! Row security is off, or its policies are dormant, on a scoped table, a partition or an inheritance child.

use bastide_catalog::TableKind;
use bastide_sql::sql;

use super::{Check, Weakness, by_reach};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-001",
    title: "row security is off on a scoped table",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let off = posture.scoped_tables().filter(|(table, _)| !table.row_security && table.kind != TableKind::Foreign);
    off.map(|(table, scoped)| {
        let message = if !table.policies.is_empty() {
            "has policies, but row security is off, so none of them applies"
        } else if scoped.declared {
            "is scoped, but row security is off: whoever has a grant sees every tenant"
        } else {
            "holds rows of a scoped table it inherits from, but row security is off on it"
        };
        let severity = if scoped.declared { Severity::Critical } else { by_reach(posture, &table.name) };
        Weakness::new(severity, &table.name, message, sql!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table.name))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{Severity, findings::found, posture::fixture};

    #[test]
    fn off_is_found_and_dormant_policies_are_named() {
        let bad = found(&CHECK, |posture| fixture::spoil(posture, "orders").row_security = false);
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].object, "public.orders");
        assert_eq!(bad[0].severity, Severity::Critical);
        assert!(bad[0].message.contains("none of them applies"));
        assert_eq!(bad[0].mend, r#"ALTER TABLE "public"."orders" ENABLE ROW LEVEL SECURITY;"#);
    }

    #[test]
    fn a_child_that_only_others_reach_is_a_warning() {
        let bad = found(&CHECK, |posture| {
            posture.scoped.get_mut(&fixture::public("lines")).unwrap().declared = false;
            posture.reach.remove(&fixture::public("lines"));
            fixture::spoil(posture, "lines").row_security = false;
        });
        assert_eq!(bad[0].severity, Severity::Warning);
    }

    #[test]
    fn on_everywhere_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
