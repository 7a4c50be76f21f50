//! What PostgreSQL refuses to a login as soon as row security binds it, whatever its policies say: `COPY … FROM`, and reading
//! with `row_security = off`. Until cutover nothing the legacy application does may fail because of us, so each login is asked
//! about.

use bastide_catalog::Role;
use bastide_sql::{Ident, QualifiedName};

use super::Planning;
use crate::{
    Phase, Question, Refusal, Step, access,
    classify::answer,
    code,
    steps::{EndBypass, LendBypass},
};

/// The operator says that the login does none of it.
const NO_COPY: &str = "no_copy";
/// BYPASSRLS until cutover.
const BYPASS: &str = "bypass";

pub(super) fn plan(planning: &mut Planning<'_>, phase: Phase) -> Result<(), Refusal> {
    let logins: Vec<Ident> = access::logins(&planning.catalog, planning.app())
        .filter(|login| !access::is_unfiltered(&planning.catalog, login))
        .cloned()
        .collect();
    for login in logins {
        let tables = writes(planning, &login);
        if tables.is_empty() {
            continue;
        }
        let mut question = question(planning, &login, &tables);
        question.answer = answer(planning.config, &question)?;
        if question.answer.as_deref() == Some(BYPASS) {
            planning.emit(phase, Step::LendBypass(LendBypass { role: login }));
        }
        planning.questions.push(question);
    }
    Ok(())
}

/// What [`plan`] lent ends once every table is closed: the login keeps working until the very last.
pub(super) fn end(planning: &mut Planning<'_>, phase: Phase) {
    for role in lent(planning) {
        planning.emit(phase, Step::EndBypass(EndBypass { role }));
    }
}

/// Whether this plan lends the role its BYPASSRLS: after cutover it is filtered like anybody else.
pub(super) fn is_lent(planning: &Planning<'_>, role: &Ident) -> bool {
    lent(planning).contains(role)
}

fn lent(planning: &Planning<'_>) -> Vec<Ident> {
    let lent = planning.steps.iter().filter_map(|planned| match &planned.step {
        Step::LendBypass(step) => Some(step.role.clone()),
        _ => None,
    });
    lent.collect()
}

/// Tables that this plan puts under row security and that the login may fill, though it is not their owner.
fn writes(planning: &Planning<'_>, login: &Ident) -> Vec<QualifiedName> {
    let catalog = &planning.catalog;
    let scoped = planning.scoped().into_iter().map(|(name, _)| name);
    let written = scoped.filter(|name| {
        catalog.table(name).is_some_and(|table| {
            !table.row_security
                && !access::acts_as(catalog, login, &table.owner)
                && access::holds(catalog, login, &table.owner, table.acl.as_ref(), "INSERT")
        })
    });
    written.collect()
}

fn question(planning: &Planning<'_>, login: &Ident, tables: &[QualifiedName]) -> Question {
    let seen = code::loads(planning.survey, login);
    let preset = planning.catalog.roles.get(login).is_some_and(turns_row_security_off);
    let bound = planning.catalog.tables.values().find(|table| table.row_security).map(|table| &table.name);
    let some = tables.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = if tables.len() > 3 { format!(" and {} more", tables.len() - 3) } else { String::new() };
    let mut text = format!(
        "{login} writes to {some}{more}, and row security will bind it there until cutover. Its SELECT, INSERT, UPDATE, \
         DELETE, TRUNCATE and LOCK go on; but PostgreSQL then refuses it COPY … FROM into these tables (0A000), and sessions \
         with row_security = off, pg_dump without --enable-row-security among them (42501)."
    );
    if !seen.is_empty() {
        text.push_str(&format!(" pg_stat_statements has seen it: {}.", seen.join("; ")));
    }
    if preset {
        text.push_str(" Its row_security is preset to off.");
    }
    text.push_str(&format!(" `{NO_COPY}`: it does none of that."));
    let mut choices = vec![NO_COPY.to_owned()];
    match bound {
        None => {
            text.push_str(&format!(
                " `{BYPASS}`: it has BYPASSRLS until cutover or rollback, and everything goes on. It reads all rows of these \
                 tables until then in any case; but the attribute is the whole cluster's, and what policies of other databases \
                 keep from it cannot be seen from here."
            ));
            choices.push(BYPASS.to_owned());
        }
        Some(table) => {
            text.push_str(&format!(" `{BYPASS}` is not offered: it would also lift the policies of {table}."))
        }
    }
    let default = (seen.is_empty() && !preset).then(|| NO_COPY.to_owned());
    Question { id: format!("login:{login}"), text, choices, default, answer: None }
}

fn turns_row_security_off(role: &Role) -> bool {
    let off = ["off", "false", "no", "0"];
    role.settings.iter().any(|setting| {
        setting
            .strip_prefix("row_security=")
            .is_some_and(|value| off.contains(&value.to_lowercase().as_str()))
    })
}
