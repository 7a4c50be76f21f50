//! Every policy asks `bastide.current_tenant()`; what that function answers is who sees what.

use super::{Check, Weakness};
use crate::{Posture, Severity, posture::KeptFunction};

pub(super) const CHECK: Check = Check {
    id: "BST-036",
    title: "a context function was altered",
    run,
};

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    let sealed = posture.catalog.server.sealed_context.then_some(("open_seal", Role::Opens));
    for (name, role) in [("current_tenant", Role::Reads), ("set_tenant", Role::Sets)].into_iter().chain(sealed) {
        let named: Vec<&KeptFunction> = posture.functions.iter().filter(|f| f.name.as_str() == name).collect();
        let advice = "Put it back as the plan of the run shows it (`bastide rls migrate --dry-run`, step create_context or seal_context).";
        if named.is_empty() {
            let object = format!("bastide.{name}");
            found.push(Weakness::advised(Severity::Critical, object, "is missing", advice));
        }
        if named.len() > 1 {
            let object = format!("bastide.{name}");
            let message = "has more than one version, so a call may mean either";
            found.push(Weakness::advised(Severity::Critical, object, message, advice));
        }
        for function in named {
            for message in faults(posture, function, role) {
                found.push(Weakness::advised(Severity::Critical, function.signature(), message, advice));
            }
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Reads,
    Sets,
    /// Reads the keys of sealed contexts, as bastide_owner.
    Opens,
}

fn faults(posture: &Posture, function: &KeptFunction, role: Role) -> Vec<String> {
    let mut faults = Vec::new();
    if function.owner.as_str() != "bastide_owner" {
        faults.push(format!("belongs to `{}`, who can change what it answers", function.owner));
    }
    if role == Role::Opens && !function.security_definer {
        faults.push("does not run with its owner's rights, so it finds no key".to_owned());
    }
    if role != Role::Opens && function.security_definer {
        faults.push("runs with its owner's rights; it needs none".to_owned());
    }
    if let Some(setting) = function.settings.first().filter(|_| role != Role::Opens) {
        faults.push(format!("runs under a setting of its own, `{setting}`"));
    }
    if function.leakproof {
        faults.push("claims to be leakproof".to_owned());
    }
    if !function.callable {
        faults.push(format!("may not be called by `{}`", posture.app));
    }
    let body = function.parsed_body.as_deref().unwrap_or_default();
    if role == Role::Sets && !posture.expected_setter_bodies.iter().any(|expected| expected == body) {
        faults.push("does something else than to set bastide.tenant, cast, for one transaction".to_owned());
    }
    if role != Role::Sets {
        if function.volatility != "s" {
            faults.push("is not STABLE: plans may keep another tenant's answer, or ask once per row".to_owned());
        }
        if !function.parallel_safe {
            faults.push("is not PARALLEL SAFE, which disables parallel plans on every scoped table".to_owned());
        }
        if role == Role::Reads && body != posture.expected_context_body {
            faults.push("answers something else than the setting bastide.tenant".to_owned());
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::fixture};

    #[test]
    fn owner_volatility_body_and_absence_are_found() {
        let owner = found(&CHECK, |posture| posture.functions[0].owner = fixture::ident("shop"));
        assert_eq!(owner[0].object, "bastide.set_tenant(v text)");
        let volatility = found(&CHECK, |posture| posture.functions[1].volatility = "i".to_owned());
        assert!(volatility[0].message.contains("STABLE"));
        let body = found(&CHECK, |posture| posture.functions[1].parsed_body = None);
        assert!(body[0].message.contains("something else"));
        let setter = found(&CHECK, |posture| posture.functions[0].parsed_body = None);
        assert!(setter[0].message.contains("for one transaction"));
        let gone = found(&CHECK, |posture| posture.functions.truncate(1));
        assert_eq!((gone[0].object.as_str(), gone[0].message.as_str()), ("bastide.current_tenant", "is missing"));
    }

    #[test]
    fn as_made_is_silent() {
        assert_eq!(found(&CHECK, |_| ()), []);
    }
}
