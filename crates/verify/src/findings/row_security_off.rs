//! Row security is off, or its policies are dormant, on a scoped table, a partition or an inheritance child.

use bastide_catalog::{Table, TableKind};
use bastide_sql::{Sql, sql};

use super::{Check, Weakness, by_reach};
use crate::{
    Posture, Severity,
    posture::{Scoped, right_predicate},
};

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
        let weakness = Weakness::new(severity, &table.name, message, mend(table, scoped));
        // Made since the plan, and no more in the application's reach than any partition: cutover closes it.
        let late = !scoped.declared && is_partition(posture, table) && !posture.reach.contains_key(&table.name);
        if late { weakness.until_cutover(posture) } else { weakness }
    })
    .collect()
}

fn is_partition(posture: &Posture, table: &Table) -> bool {
    let mut parents = table.parents.iter().filter_map(|parent| posture.catalog.table(parent));
    parents.any(|parent| parent.kind == TableKind::Partitioned)
}

/// Of a table that has its policies, the switch; of one that came since, all that the others have.
fn mend(table: &Table, scoped: &Scoped) -> Sql {
    if scoped.declared || !table.policies.is_empty() {
        return sql!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table.name);
    }
    let predicate = right_predicate(scoped);
    sql!(
        "ALTER TABLE {} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY bastide_tenant ON {} USING ({}) WITH CHECK ({})",
        table.name,
        table.name,
        predicate,
        predicate
    )
}

#[cfg(test)]
mod tests {
    use bastide_catalog::TableKind;

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
    fn a_partition_that_came_since_is_a_state_until_cutover_unless_the_application_reaches_it() {
        let late = |pending: bool, reached: bool| {
            let mut bad = found(&CHECK, |posture| {
                posture.pending_cutover = pending;
                let (table, above) = (fixture::public("lines"), fixture::public("orders"));
                posture.scoped.get_mut(&table).unwrap().declared = false;
                if !reached {
                    posture.reach.remove(&table);
                }
                fixture::spoil(posture, "orders").kind = TableKind::Partitioned;
                let table = fixture::spoil(posture, "lines");
                (table.row_security, table.parents) = (false, vec![above]);
                table.policies.clear();
            });
            bad.pop().unwrap()
        };
        assert!(late(true, false).pending_cutover);
        assert!(!late(true, true).pending_cutover);
        let after = late(false, false);
        assert_eq!((after.severity, after.pending_cutover), (Severity::Warning, false));
        assert!(after.mend.contains(r#"FORCE ROW LEVEL SECURITY; CREATE POLICY bastide_tenant ON "public"."lines" USING ("#));
    }

    #[test]
    fn on_everywhere_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
