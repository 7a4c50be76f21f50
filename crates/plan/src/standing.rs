//! What the run leaves as it is and verification would fail for, after hours of backfill: triggers that tell or do what no
//! policy filters, and what stands around the tables. Each is a question from the start, and one that only the operator can
//! answer; what is accepted stays a finding, and no longer counts.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{
    Catalog, DECISIVE_PARAMETERS, Function, PathFault, Trigger,
    cves::{self, Cve, Opens},
};
use bastide_sql::{Ident, QualifiedName};

use crate::{
    Class, Config, ParameterGrant, Question, Refusal, Survey,
    access::{is_unfiltered, of_app},
    classify::{Classification, answer},
    phases::unreachable_views,
};

/// It was looked at, and may stay.
const ACCEPT: &str = "accept";
/// Triggers that a question names before it counts.
const NAMED: usize = 5;

pub(crate) fn of(
    catalog: &Catalog,
    survey: &Survey,
    config: &Config,
    classification: &Classification,
) -> Result<Vec<Question>, Refusal> {
    let mut asked = Asked { config, questions: Vec::new() };
    functions(catalog, classification, &mut asked)?;
    seal(catalog, &mut asked)?;
    around(survey, classification, &mut asked)?;
    Ok(asked.questions)
}

struct Asked<'a> {
    config: &'a Config,
    questions: Vec<Question>,
}

impl Asked<'_> {
    fn ask(&mut self, id: String, text: String) -> Result<(), Refusal> {
        let choices = vec![ACCEPT.to_owned()];
        let mut question = Question { id, text, choices, default: None, answer: None };
        question.answer = answer(self.config, &question)?;
        self.questions.push(question);
        Ok(())
    }
}

/// A sealed context is to withstand SQL that somebody else wrote, and some minor releases run parts of it before the policies.
fn seal(catalog: &Catalog, asked: &mut Asked<'_>) -> Result<(), Refusal> {
    let version = catalog.server.version;
    let holes: Vec<&Cve> = cves::affecting(version).filter(|cve| cve.opens == Opens::ToCraftedSql).collect();
    let Some(minor) = holes.iter().filter_map(|cve| cve.fixed_in(version)).max() else { return Ok(()) };
    if !(asked.config.declared.sealed_context || catalog.server.sealed_context) {
        return Ok(());
    }
    let ids: Vec<&str> = holes.iter().map(|cve| cve.id).collect();
    let text = format!(
        "{} shows hidden rows to SQL written for it, by {}, whether the tenant context is sealed or not. `{ACCEPT}`: nobody but \
         the application writes SQL here until the server is updated. Otherwise update it to {}.{minor} or later, and plan again.",
        cves::name(version),
        ids.join(" and "),
        version / 10_000
    );
    asked.ask("seal:server".to_owned(), text)
}

fn functions(
    catalog: &Catalog,
    classification: &Classification,
    asked: &mut Asked<'_>,
) -> Result<(), Refusal> {
    let app = &asked.config.app_role;
    let hidden: BTreeSet<QualifiedName> =
        unreachable_views(catalog, classification, app).into_iter().map(|(view, _)| view).collect();
    let views = catalog.views.values().filter(|view| !hidden.contains(&view.name));
    let views = views.map(|view| (&view.name, &view.triggers));
    let tables = |class: Class| {
        let tables = catalog.tables.values().filter(move |t| classification.class(&t.name) == Some(class));
        tables.map(|table| (&table.name, &table.triggers))
    };
    let of_scoped = fired(tables(Class::Scoped));
    let of_scoped_or_view = fired(tables(Class::Scoped).chain(views.clone()));
    let of_reached = fired(tables(Class::Scoped).chain(tables(Class::Shared)).chain(views));
    for function in &catalog.functions {
        let (name, owner) = (&function.name, &function.owner);
        let trigger = |fired: &Fired| fired.get(name).filter(|_| function.returns_trigger).cloned();
        if let Some(triggers) = trigger(&of_scoped).filter(|_| function.notifies()) {
            let text = format!(
                "The function {name}, run by {triggers}, uses NOTIFY. Whoever is connected may LISTEN, so every tenant can hear what \
                 it sends. `{ACCEPT}`: what it sends tells nothing of a row (a key, and no more), or nobody but you is connected. \
                 Otherwise have it send less, or drop the trigger, and plan again."
            );
            asked.ask(format!("notify:{name}"), text)?;
        }
        if function.security_definer {
            let unbound = trigger(&of_scoped_or_view).filter(|_| is_unfiltered(catalog, owner));
            let fault = path_fault(catalog, app, function).zip(trigger(&of_reached));
            let question = definer(function, unbound, fault);
            if let Some(text) = question {
                asked.ask(format!("definer:{name}"), text)?;
            }
        }
        if function.leakproof && function.extension.is_none() {
            let signature = format!("{name}({})", function.arguments);
            leakproof(&signature, "is LEAKPROOF", asked)?;
        }
    }
    Ok(())
}

type Fired = BTreeMap<QualifiedName, String>;

/// By function, the triggers that run it, in words.
fn fired<'a>(relations: impl Iterator<Item = (&'a QualifiedName, &'a Vec<Trigger>)>) -> Fired {
    let mut fired: BTreeMap<&QualifiedName, Vec<String>> = BTreeMap::new();
    for (relation, triggers) in relations {
        for trigger in triggers {
            let words = format!("{} of {relation}", trigger.name);
            fired.entry(&trigger.function).or_default().push(words);
        }
    }
    let words = |mut triggers: Vec<String>| {
        let more = triggers.len().saturating_sub(NAMED);
        triggers.truncate(NAMED);
        let and_more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let trigger = if triggers.len() == 1 { "trigger" } else { "triggers" };
        format!("the {trigger} {}{and_more}", triggers.join(", "))
    };
    fired.into_iter().map(|(function, triggers)| (function.clone(), words(triggers))).collect()
}

/// One question, whatever of it is amiss: one reading answers it.
fn definer(function: &Function, unbound: Option<String>, fault: Option<(String, String)>) -> Option<String> {
    let (name, owner) = (&function.name, &function.owner);
    let triggers = unbound.as_ref().or(fault.as_ref().map(|(_, triggers)| triggers))?;
    let mut text = format!("The function {name}, run by {triggers}, is SECURITY DEFINER and runs as {owner}");
    let mut mends = Vec::new();
    if unbound.is_some() {
        text.push_str(
            ", whom no policy binds: what it reads and writes is of every tenant, whoever fires it",
        );
        mends.push(format!("ALTER FUNCTION {name}() SECURITY INVOKER"));
    }
    if let Some((fault, _)) = &fault {
        let joined = if unbound.is_some() { "; and it" } else { ", and" };
        text.push_str(&format!("{joined} {fault}"));
        let schema = &name.schema;
        mends.push(format!("ALTER FUNCTION {name}() SET search_path = pg_catalog, {schema}, pg_temp"));
    }
    text.push_str(&format!(
        ". `{ACCEPT}`: it was read, and brings no tenant what is another's. Otherwise run {}, and plan again.",
        mends.join(" and ")
    ));
    Some(text)
}

fn path_fault(catalog: &Catalog, app: &Ident, function: &Function) -> Option<String> {
    if function.extension.is_some() {
        return None;
    }
    let open = |schema: &str| {
        let schema = catalog.schemas.iter().find(|(name, _)| name.as_str() == schema);
        let acl = schema.and_then(|(_, schema)| schema.acl.as_ref());
        of_app(acl.into_iter(), app).iter().any(|(_, kind)| kind == "CREATE")
    };
    Some(match function.path_fault(open)? {
        PathFault::Unset => "looks names up in whatever schemas its caller set".to_owned(),
        PathFault::TempFirst => "looks into pg_temp first, where its caller makes tables".to_owned(),
        PathFault::Open(schema) => format!("looks into {schema}, where everybody may create objects"),
    })
}

fn leakproof(signature: &str, what: &str, asked: &mut Asked<'_>) -> Result<(), Refusal> {
    let text = format!(
        "The function {signature} {what}, so the server may run it on other tenants' rows before a policy filters them. \
         `{ACCEPT}`: no error or notice of it tells what it was given. Otherwise run ALTER FUNCTION {signature} NOT LEAKPROOF, \
         and plan again."
    );
    asked.ask(format!("leakproof:{signature}"), text)
}

fn around(survey: &Survey, classification: &Classification, asked: &mut Asked<'_>) -> Result<(), Refusal> {
    let around = &survey.around;
    if let Some(withheld) = around.withheld.first() {
        if bastide_catalog::shows_statistics(&withheld.object) {
            return Err(Refusal::StatisticsShown {
                view: withheld.object.clone(),
                grantee: withheld.grantee.clone(),
            });
        }
        return Err(Refusal::Withheld {
            object: withheld.object.clone(),
            routine: withheld.routine,
            privileges: withheld.privileges.clone(),
            grantee: withheld.grantee.clone(),
        });
    }
    // What PUBLIC may SET the catalog has.
    let opens = |grant: &&ParameterGrant| {
        grant.privilege != "SET"
            || (grant.grantee.is_some() && DECISIVE_PARAMETERS.contains(&grant.parameter.as_str()))
    };
    if let Some(grant) = around.parameters.iter().find(opens) {
        let ParameterGrant { parameter, privilege, grantee } = grant.clone();
        return Err(Refusal::ParameterGranted { parameter, privilege, grantee });
    }
    for (table, off) in around.keys_off.iter().filter(|(table, _)| classification.is_scoped(table)) {
        let keys: BTreeSet<String> = off.iter().map(|off| off.foreign_key.to_string()).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        let mends: Vec<String> = off.iter().map(|off| format!("ENABLE TRIGGER {}", off.trigger)).collect();
        let text = format!(
            "Foreign keys of {table} are switched off ({}), as DISABLE TRIGGER ALL leaves them: rows that lead nowhere, or to \
             another tenant's, get in, and nobody is told. `{ACCEPT}`: they stay off, but for those that cutover puts keys of \
             its own in the place of. Otherwise run ALTER TABLE {table} {}, and plan again.",
            keys.join(", "),
            mends.join(", ")
        );
        asked.ask(format!("enforcement:{table}"), text)?;
    }
    for signature in &around.leakproof_builtins {
        leakproof(signature, "was made LEAKPROOF here, which PostgreSQL does not say of it", asked)?;
    }
    if around.large_objects > 0 {
        let (count, more) = (around.large_objects, if around.large_objects == 1 { "" } else { "s" });
        let text = format!(
            "{count} large object{more} may be read or written by the application, by a grant to PUBLIC or to its login; no policy \
             filters them. `{ACCEPT}`: every tenant may have what is in them. Otherwise run REVOKE ALL ON LARGE OBJECT for each \
             (SELECT oid FROM pg_largeobject_metadata), and plan again."
        );
        asked.ask("large_objects".to_owned(), text)?;
    }
    if around.large_objects_open {
        let text = format!(
            "lo_compat_privileges is on, so every login reads and writes every large object, whosever it is. `{ACCEPT}`: there is \
             nothing in them that a tenant must not see. Otherwise reset it (ALTER SYSTEM, or ALTER DATABASE where it is preset \
             there), and plan again."
        );
        asked.ask("large_objects:all".to_owned(), text)?;
    }
    for server in &around.foreign_servers {
        let text = format!(
            "The application may use the foreign server {server}, by a grant to PUBLIC or to its login: it connects there as a user \
             mapping has it, maybe back to this database, and no policy of Bastide's reaches that far. `{ACCEPT}`: nothing is there \
             that a tenant must not see. Otherwise run REVOKE USAGE ON FOREIGN SERVER {server} FROM PUBLIC, grant it to the roles \
             that need it by name, and plan again."
        );
        asked.ask(format!("server:{server}"), text)?;
    }
    for wrapper in &around.foreign_wrappers {
        let text = format!(
            "The application may make foreign servers with the wrapper {wrapper}, by a grant to PUBLIC or to its login. \
             `{ACCEPT}`: it may. Otherwise run REVOKE USAGE ON FOREIGN DATA WRAPPER {wrapper} FROM PUBLIC, grant it to the roles \
             that need it by name, and plan again."
        );
        asked.ask(format!("wrapper:{wrapper}"), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
