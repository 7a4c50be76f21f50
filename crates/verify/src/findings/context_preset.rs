//! A setting on a role, a database or a function gives whoever comes a tenant, or another role, before anybody asked.

use bastide_sql::{Ident, sql};

use super::{Check, Weakness};
use crate::{Posture, Severity};

pub(super) const CHECK: Check = Check {
    id: "BST-037",
    title: "a tenant context is preset",
    run,
};

/// Settings that decide whose rows a connection sees, or whether policies and keys hold for it.
const DECISIVE: [&str; 4] = ["bastide.tenant", "role", "session_replication_role", "row_security"];

fn run(posture: &Posture) -> Vec<Weakness> {
    let mut found = Vec::new();
    for preset in &posture.presets {
        let name = preset.setting.split('=').next().unwrap_or_default().to_ascii_lowercase();
        if !DECISIVE.contains(&name.as_str()) {
            continue;
        }
        let parameter = sql!("{}", bastide_sql::join(name.split('.').filter_map(|part| Ident::new(part).ok()), "."));
        let mend = match (&preset.role, &preset.database) {
            (Some(role), Some(database)) => sql!("ALTER ROLE {} IN DATABASE {} RESET {}", role, database, parameter),
            (Some(role), None) => sql!("ALTER ROLE {} RESET {}", role, parameter),
            (None, Some(database)) => sql!("ALTER DATABASE {} RESET {}", database, parameter),
            (None, None) => sql!("ALTER ROLE ALL RESET {}", parameter),
        };
        let object = preset.role.as_ref().or(preset.database.as_ref()).map_or("every role".to_owned(), Ident::to_string);
        let message = format!("`{name}` is preset, so every new connection begins with it");
        found.push(Weakness::new(Severity::Critical, object, message, mend));
    }
    for function in &posture.catalog.functions {
        if function.settings.iter().any(|setting| setting.starts_with("bastide.tenant=")) {
            let object = format!("{}({})", function.name, function.arguments);
            let message = "runs as a tenant of its own, whoever calls it";
            let mend = sql!("ALTER ROUTINE {}({}) RESET bastide.tenant", function.name, function.arguments);
            found.push(Weakness::new(Severity::Critical, object, message, mend));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::{findings::found, posture::{Preset, fixture}};

    fn preset(setting: &str) -> Preset {
        Preset { role: Some(fixture::ident("bastide_app")), database: None, setting: setting.to_owned() }
    }

    #[test]
    fn a_preset_tenant_is_found() {
        let bad = found(&CHECK, |posture| posture.presets.push(preset("bastide.tenant=1")));
        assert_eq!(bad[0].object, "bastide_app");
        assert_eq!(bad[0].mend, r#"ALTER ROLE "bastide_app" RESET "bastide"."tenant";"#);
    }

    #[test]
    fn other_settings_are_silent() {
        assert_eq!(found(&CHECK, |posture| posture.presets.push(preset("search_path=public"))), []);
    }
}
