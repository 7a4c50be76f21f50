//! Posture: one file per finding, with the check, its words and its tests side by side.
//!
//! A check is a pure function over [`Posture`]. To add one, see "Add a finding" in CONTRIBUTING.md: a file here, a line in
//! [`CHECKS`], and a page `docs/findings/BST-0xx.md`. Ids are never used again for something else.

use bastide_sql::{QualifiedName, Sql};

use crate::{Finding, Posture, Severity};

/// One thing to look for.
#[derive(Clone, Copy)]
pub struct Check {
    /// Stable: reports, baselines and links to the documentation use it.
    pub id: &'static str,
    /// What is wrong when it finds something, in a few words.
    pub title: &'static str,
    run: fn(&Posture) -> Vec<Weakness>,
}

/// A finding before it gets its check's id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Weakness {
    severity: Severity,
    object: String,
    message: String,
    mend: String,
    pending_cutover: bool,
}

macro_rules! checks {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every check, in the order of their ids.
        pub const CHECKS: &[Check] = &[$($module::CHECK,)*];
    };
}

checks! {
    // Row security itself.
    row_security_off,
    not_forced,
    no_policy,
    extra_policy,
    predicate_differs,
    check_weaker,
    legacy_policy,
    scope_incomplete,
    policy_calls,
    // The application's role.
    role_attributes,
    predefined_role,
    owns_objects,
    member_of_owner,
    may_create,
    may_disable_triggers,
    keeper_role,
    parameter_granted,
    withheld_object,
    // Columns and keys.
    tenant_nullable,
    null_tenants,
    foreign_key_crosses,
    unique_across_tenants,
    enforcement_off,
    key_not_validated,
    sequence_reached,
    // Ways around.
    definer_view,
    materialised_view,
    definer_function,
    definer_trigger,
    pure_context_reader,
    leakproof_function,
    context_altered,
    context_preset,
    rewrite_rule,
    definer_search_path,
    // Grants.
    excess_privilege,
    default_privilege,
    unknown_table,
    unscoped_with_tenants,
    closed_table_reached,
    shared_table_writable,
    child_granted,
    kept_table_reached,
    foreign_table_reached,
    published,
    // Beside tables.
    large_objects,
    foreign_server,
    notifies,
    grant_option,
    // The server.
    server_version,
}

/// Runs every check; findings come in the order of ids, then of objects.
pub(crate) fn all(posture: &Posture) -> Vec<Finding> {
    CHECKS
        .iter()
        .flat_map(|check| {
            let mut found = (check.run)(posture);
            found.sort_by(|a, b| (&a.object, &a.message).cmp(&(&b.object, &b.message)));
            found.into_iter().map(|weakness| weakness.named(check.id))
        })
        .collect()
}

impl Weakness {
    fn new(severity: Severity, object: impl ToString, message: impl Into<String>, mend: Sql) -> Self {
        Self::advised(severity, object, message, format!("{mend};"))
    }

    /// Where no statement mends it: what to decide.
    fn advised(
        severity: Severity,
        object: impl ToString,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            object: object.to_string(),
            message: message.into(),
            mend: mend.into(),
            pending_cutover: false,
        }
    }

    /// Cutover settles it: before, it is a state.
    fn until_cutover(mut self, posture: &Posture) -> Self {
        self.pending_cutover = posture.pending_cutover;
        self
    }

    /// What the operator accepted in the plan is still said, and no longer counts.
    fn unless_accepted(mut self, posture: &Posture, question: &str) -> Self {
        if let Some(accepted) = posture.accepted_by(question) {
            self.severity = Severity::Info;
            self.message.push_str(&accepted);
        }
        self
    }

    fn named(self, id: &str) -> Finding {
        Finding {
            id: id.to_owned(),
            severity: self.severity,
            object: self.object,
            message: self.message,
            mend: self.mend,
            pending_cutover: self.pending_cutover,
        }
    }
}

fn list<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// Critical where the application gets at it, a warning where only others do.
fn by_reach(posture: &Posture, table: &QualifiedName) -> Severity {
    if posture.reach.contains_key(table) { Severity::Critical } else { Severity::Warning }
}

/// What one check finds once one thing in a sound database is spoilt.
#[cfg(test)]
fn found(check: &Check, spoil: impl FnOnce(&mut Posture)) -> Vec<Weakness> {
    let mut posture = crate::posture::fixture::sound();
    spoil(&mut posture);
    (check.run)(&posture)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use bastide_catalog::{Function, Role, Trigger, TriggerEnabled};

    use super::*;
    use crate::posture::{Foreign, LargeObject, TriggerOff, fixture};

    #[test]
    fn ids_are_unique_in_order_and_well_formed() {
        let ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 7 && id.starts_with("BST-")), "{ids:?}");
    }

    #[test]
    fn every_check_has_a_page_that_says_what_it_means_and_how_to_mend_it() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
        for check in CHECKS {
            let page = pages.join(format!("{}.md", check.id));
            let text =
                std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            assert!(text.starts_with(&format!("# {}: {}\n", check.id, check.title)), "{}", page.display());
            assert!(
                text.contains("\n## How it leaks\n") && text.contains("\n## How to mend it\n"),
                "{}",
                check.id
            );
        }
    }

    /// What a plan asks about, and last what it does not.
    fn standing(posture: &mut Posture) {
        let fires = |name: &str| Trigger {
            name: fixture::ident(name),
            function: fixture::public(name),
            on_insert: true,
            on_update: false,
            on_delete: false,
            on_truncate: false,
            before: false,
            for_each_row: true,
            enabled: TriggerEnabled::Origin,
            definition: Sql::trusted("CREATE TRIGGER"),
        };
        fixture::spoil(posture, "orders").triggers = vec![fires("tell"), fires("audit")];
        let owner = fixture::ident("postgres");
        posture.catalog.roles.insert(owner.clone(), Role { superuser: true, ..fixture::role() });
        let function = |name: &str| Function {
            owner: owner.clone(),
            arguments: Sql::trusted(""),
            returns_trigger: true,
            ..fixture::function(name)
        };
        posture.catalog.functions = vec![
            Function { source: "PERFORM pg_notify('a', NEW.id)".to_owned(), ..function("tell") },
            Function { security_definer: true, ..function("audit") },
            Function { leakproof: true, returns_trigger: false, ..function("same") },
        ];
        let around = &mut posture.around;
        around.large_objects.push(LargeObject { oid: 4711, privileges: "SELECT".to_owned() });
        around.lo_compat = true;
        let foreign = |name, wrapper| Foreign { name: fixture::ident(name), wrapper, mapped: false };
        around.foreign = vec![foreign("away", false), foreign("far", true)];
        let off = |name, foreign_key: Option<&str>| TriggerOff {
            table: fixture::public("orders"),
            name: fixture::ident(name),
            foreign_key: foreign_key.map(fixture::ident),
        };
        around.triggers_off = vec![off("RI_1", Some("orders_merchant_fkey")), off("~bastide_tenant", None)];
    }

    #[test]
    fn what_the_operator_accepted_in_the_plan_is_said_and_no_longer_counts() {
        let open = |posture: &Posture| -> Vec<String> {
            let open = all(posture).into_iter().filter(|found| found.severity > Severity::Info);
            open.map(|found| format!("{} {}", found.id, found.object)).collect()
        };
        let mut posture = fixture::sound();
        standing(&mut posture);
        assert_eq!(open(&posture).len(), 10, "{:?}", open(&posture));
        let questions = [
            "notify:public.tell",
            "definer:public.audit",
            "leakproof:public.same()",
            "large_objects",
            "large_objects:all",
            "server:away",
            "wrapper:far",
            "enforcement:public.orders",
        ];
        fixture::accept(&mut posture, &questions);
        // Bastide's own trigger nobody was asked about.
        assert_eq!(open(&posture), ["BST-024 public.orders"]);
        for question in questions {
            let said = format!("the operator accepted that (`{question}` = ");
            assert!(all(&posture).iter().any(|found| found.message.contains(&said)), "{question}");
        }
        fixture::accept(&mut posture, &["notify:public.other", "definer:public.tell", "server:far"]);
        assert_eq!(open(&posture).len(), 10, "one answer accepts nothing else");
    }

    #[test]
    fn a_sound_database_has_no_open_finding() {
        let open: Vec<Finding> =
            all(&fixture::sound()).into_iter().filter(|found| found.severity > Severity::Info).collect();
        assert_eq!(open, []);
    }
}
