//! Row security that a scoped table has before the run. Until cutover it is the shop's live behaviour and goes on; what
//! becomes of it then is the operator's word.

use bastide_catalog::{Policy, Table};
use bastide_sql::{Ident, QualifiedName};

use super::{Planning, is_foreign_policy, is_ours};
use crate::{Phase, Question, Refusal, Step, access, classify::answer, steps::SetPoliciesAside};

/// All policies go.
const REPLACE: &str = "replace";
/// Those that only narrow stay.
const KEEP: &str = "keep";

/// Asks about it, and plans what keeps it from the application's login. Whether the table has such row security, and it works.
pub(super) fn set_aside(
    planning: &mut Planning<'_>,
    phase: Phase,
    name: &QualifiedName,
) -> Result<bool, Refusal> {
    let Some(table) = planning.catalog.table(name).cloned() else { return Ok(false) };
    let theirs: Vec<Policy> = foreign(&table).cloned().collect();
    let live = table.row_security;
    if is_ours(&table) || (theirs.is_empty() && !live && !table.force_row_security) {
        return Ok(false);
    }
    // FORCE alone does nothing, and is nothing to decide about.
    if !theirs.is_empty() || live {
        ask(planning, &table, &theirs)?;
    }
    let mut roles = access::legacy_roles(&planning.catalog, &table, planning.app());
    roles.push(table.owner.clone());
    let stays = |policy: &Policy| planning.keeps(name) && !policy.permissive;
    let policies: Vec<Policy> =
        theirs.into_iter().filter(|policy| !live || (policy.roles.is_empty() && !stays(policy))).collect();
    if !policies.is_empty() || (!live && table.force_row_security) {
        let forced = table.force_row_security;
        let step = SetPoliciesAside { table: name.clone(), live, forced, policies, roles };
        planning.emit(phase, Step::SetPoliciesAside(step));
    }
    Ok(live)
}

impl Planning<'_> {
    /// The policies of before that cutover replaces.
    pub(super) fn replaced(&self, table: &Table) -> Vec<Policy> {
        let keeps = self.keeps(&table.name);
        foreign(table).filter(|policy| policy.permissive || !keeps).cloned().collect()
    }

    fn keeps(&self, table: &QualifiedName) -> bool {
        let id = question_id(table);
        self.questions.iter().any(|question| question.id == id && question.answer.as_deref() == Some(KEEP))
    }
}

fn foreign(table: &Table) -> impl Iterator<Item = &Policy> {
    table.policies.iter().filter(|policy| is_foreign_policy(&policy.name))
}

fn question_id(table: &QualifiedName) -> String {
    format!("rls:{table}")
}

fn ask(planning: &mut Planning<'_>, table: &Table, theirs: &[Policy]) -> Result<(), Refusal> {
    if let Some(policy) = theirs.iter().find(|policy| policy.roles.contains(planning.app())) {
        let (table, policy) = (table.name.clone(), policy.name.clone());
        return Err(Refusal::PolicyOfApp { table, policy, role: planning.app().clone() });
    }
    let narrow = listed(theirs.iter().filter(|policy| !policy.permissive));
    let wide = listed(theirs.iter().filter(|policy| policy.permissive));
    // One that is without effect today would narrow what the legacy logins see as soon as row security comes on.
    let choices = if table.row_security && narrow.is_some() { &[REPLACE, KEEP][..] } else { &[REPLACE] };
    let mut question = Question {
        id: question_id(&table.name),
        text: text(table, narrow.as_deref(), wide.as_deref()),
        choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
        default: None,
        answer: None,
    };
    question.answer = answer(planning.config, &question)?;
    planning.questions.push(question);
    Ok(())
}

fn text(table: &Table, narrow: Option<&str>, wide: Option<&str>) -> String {
    let name = &table.name;
    let has = match (wide, narrow) {
        (None, None) if table.force_row_security => {
            "is on and forced, without a policy: nobody reads it".to_owned()
        }
        (None, None) => "is on, without a policy: nobody but its owner reads it".to_owned(),
        (Some(wide), None) => format!("has the policies {wide}"),
        (None, Some(narrow)) => format!("has the RESTRICTIVE policies {narrow}"),
        (Some(wide), Some(narrow)) => format!("has the policies {wide} and the RESTRICTIVE ones {narrow}"),
    };
    let mut text = format!("Row security of {name} {has}. ");
    if table.row_security {
        text.push_str(&format!(
            "`{REPLACE}`: until cutover it goes on for everybody but the application's login; at cutover Bastide's policy takes \
             its place, and whoever relied on it needs a tenant context."
        ));
    } else {
        text.push_str(&format!(
            "It is switched off, so it does nothing. `{REPLACE}`: Bastide's policy takes its place."
        ));
    }
    if table.row_security
        && let Some(narrow) = narrow
    {
        text.push_str(&format!(
            " `{KEEP}`: {narrow} stay for good, for the application too, since they only narrow"
        ));
        text.push_str(if wide.is_some() { "; the others are replaced." } else { "." });
    }
    if let Some(wide) = wide {
        text.push_str(&format!(
            " No answer keeps {wide}: a permissive policy is joined to Bastide's with OR, and would open what that closes."
        ));
    }
    text.push_str(&format!(
        " Rollback puts back what there was. Otherwise leave the table out with --exclude-table {name}."
    ));
    text
}

fn listed<'a>(policies: impl Iterator<Item = &'a Policy>) -> Option<String> {
    let names: Vec<Ident> = policies.map(|policy| policy.name.clone()).collect();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use bastide_catalog::{Policy, PolicyCommand};
    use bastide_sql::Sql;

    use crate::{
        Config, Plan, Refusal, Step, Survey, Usage,
        fixture::{existing, grant, ident, name, shop},
        plan,
    };

    fn policy(name: &str, permissive: bool, roles: &[&str]) -> Policy {
        Policy {
            name: ident(name),
            permissive,
            command: PolicyCommand::All,
            roles: roles.iter().map(|role| ident(role)).collect(),
            using: Some(Sql::trusted("(id > 0)")),
            with_check: None,
        }
    }

    fn planned(live: bool, policies: &[Policy], answer: Option<&str>) -> Result<Plan, Refusal> {
        let fixture = shop().with(|table| {
            table.row_security = live;
            table.policies = policies.to_vec();
            table.acl = Some(vec![grant(Some("clerk"), &["SELECT"])]);
        });
        let usage = Usage { rows: 1000, by_one: 10, by_many: 900 };
        let survey = Survey { tenants: 3, usage: [(name("products"), usage)].into(), ..Survey::default() };
        let answers = answer.map(|answer| ("rls:public.orders".to_owned(), answer.to_owned()));
        let config =
            Config { accept_defaults: true, answers: answers.into_iter().collect(), ..existing("merchants") };
        plan(&fixture.catalog(), &survey, &config)
    }

    fn question(plan: &Plan) -> String {
        let asked = plan.questions.iter().find(|question| question.id == "rls:public.orders").unwrap();
        format!("{:?} {}", asked.choices, asked.text)
    }

    /// What the steps do to policies of before.
    fn done(plan: &Plan) -> String {
        let lines = plan.steps.iter().filter_map(|planned| match &planned.step {
            Step::SetPoliciesAside(step) => {
                let names: Vec<_> = step.policies.iter().map(|policy| policy.name.to_string()).collect();
                let roles: Vec<_> = step.roles.iter().map(ToString::to_string).collect();
                Some(format!("aside {} (live {}) for {}", names.join(", "), step.live, roles.join(", ")))
            }
            Step::ProtectTable(step) if step.table == name("orders") => {
                Some(format!("protect (enabled {}) {:?}", step.enabled, step.legacy_roles))
            }
            Step::CloseTable(step) if step.table == name("orders") => {
                let names: Vec<_> = step.replaced.iter().map(|policy| policy.name.to_string()).collect();
                Some(format!("close replacing [{}] (forced {})", names.join(", "), step.forced))
            }
            _ => None,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_works_is_asked_about_and_no_default_answers() {
        let policies =
            [policy("wide", true, &[]), policy("named", true, &["clerk"]), policy("narrow", false, &[])];
        let open = planned(true, &policies, None).unwrap();
        assert_eq!(open.open().count(), 1);
        insta::assert_snapshot!(question(&open), @r#"["replace", "keep"] Row security of public.orders has the policies wide, named and the RESTRICTIVE ones narrow. `replace`: until cutover it goes on for everybody but the application's login; at cutover Bastide's policy takes its place, and whoever relied on it needs a tenant context. `keep`: narrow stay for good, for the application too, since they only narrow; the others are replaced. No answer keeps wide, named: a permissive policy is joined to Bastide's with OR, and would open what that closes. Rollback puts back what there was. Otherwise leave the table out with --exclude-table public.orders."#);
        insta::assert_snapshot!(done(&planned(true, &policies, Some("replace")).unwrap()), @"
    aside wide, narrow (live true) for clerk, owner
    protect (enabled true) []
    close replacing [named, narrow, wide] (forced false)
    ");
        insta::assert_snapshot!(done(&planned(true, &policies, Some("keep")).unwrap()), @"
    aside wide (live true) for clerk, owner
    protect (enabled true) []
    close replacing [named, wide] (forced false)
    ");
        insta::assert_snapshot!(question(&planned(true, &[], None).unwrap()), @r#"["replace"] Row security of public.orders is on, without a policy: nobody but its owner reads it. `replace`: until cutover it goes on for everybody but the application's login; at cutover Bastide's policy takes its place, and whoever relied on it needs a tenant context. Rollback puts back what there was. Otherwise leave the table out with --exclude-table public.orders."#);
        assert!(planned(true, &policies[..1], Some("keep")).is_err());
    }

    #[test]
    fn what_does_not_work_can_only_be_replaced() {
        let policies = [policy("wide", true, &["clerk"]), policy("narrow", false, &[])];
        insta::assert_snapshot!(question(&planned(false, &policies, None).unwrap()), @r#"["replace"] Row security of public.orders has the policies wide and the RESTRICTIVE ones narrow. It is switched off, so it does nothing. `replace`: Bastide's policy takes its place. No answer keeps wide: a permissive policy is joined to Bastide's with OR, and would open what that closes. Rollback puts back what there was. Otherwise leave the table out with --exclude-table public.orders."#);
        insta::assert_snapshot!(done(&planned(false, &policies, Some("replace")).unwrap()), @"
    aside wide, narrow (live false) for clerk, owner
    protect (enabled false) [clerk]
    close replacing [] (forced false)
    ");
        assert!(planned(false, &policies, Some("keep")).is_err());
    }

    #[test]
    fn the_application_is_named_by_no_policy_of_theirs() {
        let refusal = planned(true, &[policy("mine", true, &["clerk", "bastide_app"])], None).unwrap_err();
        insta::assert_snapshot!(refusal, @"the policy mine of public.orders names the application's login bastide_app, to whom only Bastide's policies may apply; run DROP POLICY mine ON public.orders, or choose another login with --app-role");
    }
}
